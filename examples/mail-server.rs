//! A mail server: MX, submission, IMAP and POP3 over one store.
//!
//! Without arguments it is a demo on loopback; with `--config` it is a real server. See `mail-server.example.toml`.

use std::io::{BufRead as _, IsTerminal as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use examples::accounts::keys_of;
use examples::command_line::{
    EXIT_CODES, Outcome, ToolError, exit, print, print_json, recipient, reverse_path,
};
use examples::config::Config;
use examples::demo::{self, Demo};
use examples::dkim_keys;
use examples::own_listings::OwnListings;
use examples::own_reputation::OwnAddresses;
use examples::resolver::Resolver;
use examples::screen::{Claim, Imagined, Screen};
use examples::server::{Security, Server, Service, now};
use examples::store::{Sqlite, Store, StoreError};
use examples::suppression::SuppressionList;
use mail_syntax::{Domain, Mailbox, ReversePath};
use screening::early_talker::Offence;
use screening::outbound::provider::Provider;
use screening::outbound::reputation::Listing;

type Failure = Box<dyn std::error::Error>;

/// A mail server: MX, submission, IMAP and POP3 over one store.
#[derive(Parser)]
#[command(
    after_help = "Without --config it runs a demo on loopback that needs nothing else.

Examples:
  mail-server --config mail-server.toml
  mail-server --config mail-server.toml check-config
  echo 'correct horse' | mail-server --config mail-server.toml user add alice --address alice@example.org
  mail-server dkim-key --domain example.org --selector s1 --out s1.pem
  mail-server --config mail-server.toml screen 192.0.2.7 --helo mail.example.com --from joe@example.com --to ann@example.org"
)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Accounts.
    #[command(subcommand)]
    User(User),
    /// Reads the configuration, and everything it names, and says what is wrong.
    CheckConfig,
    /// Tells what the server would answer to a message of a stranger, and why; nothing is remembered of it.
    ///
    /// Without --config it is screened as by default, nobody has a past, and every recipient is there.
    ///
    /// Exits with 0 if the recipient would be accepted, 1 if refused for good, 75 if the client would have to come again.
    #[command(after_help = format!("EXAMPLE: mail-server screen 192.0.2.7 --helo mail.example.com --from joe@example.com --to ann@example.org\n\n{EXIT_CODES}"))]
    Screen(Message),
    /// Tells on which lists our addresses stand, and how they stand with those who take the mail of these domains: by what they have
    /// answered in the last days, by complaints and their rate, and by the plan of warm-up.
    Reputation {
        /// Domains that mail was sent to, or providers such as gmail; others is what small domains are together, in a plan of warm-up.
        /// Without any: the providers that are known by name, and others.
        providers: Vec<Provider>,
    },
    /// Addresses that get no mail: their owner has complained, they do not exist, or somebody has said so.
    #[command(subcommand)]
    Suppressed(Suppressed),
    /// Makes an Ed25519 key that signs mail, and prints the record to publish.
    DkimKey {
        /// The signing domain.
        #[arg(long)]
        domain: Domain,
        /// The selector.
        #[arg(long)]
        selector: Domain,
        /// Where to write the key; it must not exist yet.
        #[arg(long)]
        out: PathBuf,
    },
}

/// A message that nobody has sent.
#[derive(clap::Args)]
struct Message {
    /// The address of the client.
    client: IpAddr,
    /// What it calls itself in HELO or EHLO.
    #[arg(long)]
    helo: String,
    /// Its MAIL FROM; '<>' is the null one.
    #[arg(long, value_parser = reverse_path)]
    from: ReversePath,
    /// The first recipient: an address, or postmaster.
    #[arg(long, value_parser = recipient)]
    to: String,
    /// What the client does that mail servers do not; may be repeated: before_greeting, foreign_command, bare_newline, pipelining,
    /// ignored_421.
    #[arg(long)]
    conduct: Vec<Offence>,
    /// A domain that has signed the message, so that DKIM passes; may be repeated.
    #[arg(long)]
    signed_by: Vec<Domain>,
    /// A master file (RFC 1035) that answers everything, instead of the DNS.
    #[arg(long)]
    zone: Option<PathBuf>,
    /// Print {client, helo, from, to, found, reasons, score, decision, greylist, code, goes_to, reply, reply_to}.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Suppressed {
    /// Prints those that get none now, with the reason and the end.
    List,
    /// Stops mail to an address.
    Add {
        /// The address.
        recipient: String,
        /// Of this sender alone; '<>' is the null one. Without it: of everybody.
        #[arg(long, value_parser = reverse_path)]
        from: Option<ReversePath>,
        /// For so many days; without it: until it is removed.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        days: Option<u64>,
    },
    /// Lets mail to an address go again, whatever has stopped it.
    Remove {
        /// The address.
        recipient: String,
        /// Of this sender alone; '<>' is the null one. Without it: of everybody, whatever holds for single senders included.
        #[arg(long, value_parser = reverse_path)]
        from: Option<ReversePath>,
    },
}

#[derive(Subcommand)]
enum User {
    /// Makes an account, or gives it a new password, read from standard input.
    Add {
        /// The login name.
        name: String,
        /// An address whose mail it gets; may be repeated.
        #[arg(long = "address")]
        addresses: Vec<String>,
    },
    /// Prints the keys of a password read from standard input, for the configuration file.
    Keys,
    /// Lists the accounts.
    List,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        None => serve(arguments.config.as_deref()),
        Some(Command::CheckConfig) => check(arguments.config.as_deref()),
        Some(Command::Screen(message)) => {
            return exit("mail-server", screen(arguments.config.as_deref(), message));
        }
        Some(Command::Reputation { providers }) => {
            reputation(arguments.config.as_deref(), providers)
        }
        Some(Command::Suppressed(command)) => suppressed(arguments.config.as_deref(), command),
        Some(Command::User(user)) => users(arguments.config.as_deref(), user),
        Some(Command::DkimKey {
            domain,
            selector,
            out,
        }) => dkim_key(domain, selector, out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mail-server: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn configured(path: Option<&Path>) -> Result<Config, Failure> {
    let path = path.ok_or("name the configuration file: --config mail-server.toml")?;
    Ok(Config::read(path)?)
}

fn serve(config: Option<&Path>) -> Result<(), Failure> {
    let level =
        tracing_subscriber::EnvFilter::try_from_env("MAIL_SERVER_LOG").unwrap_or_else(|_| {
            tracing_subscriber::EnvFilter::new(if config.is_some() { "info" } else { "warn" })
        });
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match config {
            Some(path) => {
                let server = Server::bind(Config::read(path)?).await?;
                show(&server);
                server.run(end()).await;
            }
            None => run_demo().await?,
        }
        Ok(())
    })
}

async fn run_demo() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("yubin-demo-{}", std::process::id()));
    let (server, smtp, signing) = demo::prepare(&folder).await?.into_parts();
    show(&server);
    let samples = tokio::spawn(async move {
        if let Some(smtp) = smtp {
            println!("\nMail that comes in:");
            for (name, said) in Demo::deliver(smtp, signing).await {
                println!("  {name:32} {said}");
            }
        }
        println!("{}", demo::TRY);
    });
    server.run(end()).await;
    samples.abort();
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn show(server: &Server) {
    println!("{} listens on:", server.context().config.hostname);
    for (service, security, address) in server.addresses() {
        let service = match service {
            Service::Smtp => "SMTP, mail from anywhere",
            Service::Submission => "submission",
            Service::Imap => "IMAP",
            Service::Pop3 => "POP3",
        };
        let security = match security {
            Security::StartTls => "STARTTLS",
            Security::Implicit => "implicit TLS",
        };
        println!("  {address:24} {service} ({security})");
    }
}

/// Ctrl-C, or SIGTERM.
async fn end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without signals it runs until it is killed, which loses nothing either.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn check(config: Option<&Path>) -> Result<(), Failure> {
    let config = configured(config)?;
    examples::tls::server(&config.tls.certificate, &config.tls.key)?;
    examples::signing::keys(&config.dkim)?;
    Screen::new(&config, &[0; 32])?;
    OwnAddresses::new(&config.outbound, &[0; 32])?;
    OwnListings::new(&config.outbound.lists)?;
    if let Some(zone) = &config.dns.zone {
        std::fs::read_to_string(zone)?.parse::<mail_dns::Zone>()?;
    }
    println!(
        "{}: {} domains, no mistake found",
        config.hostname,
        config.domains.len()
    );
    Ok(())
}

fn screen(config: Option<&Path>, message: &Message) -> Result<Outcome, ToolError> {
    let wrong = |error: &dyn std::fmt::Display| ToolError::Usage(error.to_string());
    let config = config.map(Config::read).transpose();
    let config = config.map_err(|error| wrong(&error))?;
    // A store is not made by a look into it.
    let kept = config.as_ref().filter(|config| config.data.is_dir());
    let store = kept
        .map(|config| Sqlite::open_beside(&config.data))
        .transpose();
    let store = store.map_err(|error| ToolError::Later(error.to_string()))?;
    let is_configured = config.is_some();
    let config = config.unwrap_or_else(|| demo::config(&std::env::temp_dir()));
    let mut dns = config.dns.clone();
    if message.zone.is_some() {
        dns.zone.clone_from(&message.zone);
    }
    let later = |error: StoreError| ToolError::Later(error.to_string());
    let secret = store.as_ref().map_or(Ok([0; 32]), |store| store.secret());
    let screen = Screen::new(&config, &secret.map_err(later)?).map_err(|error| wrong(&error))?;
    let claim = Claim {
        client: message.client.to_canonical(),
        helo: Some(message.helo.clone()),
        sender: message.from.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| ToolError::Later(error.to_string()))?;
    let explanation = runtime.block_on(async {
        let resolver = Resolver::new(&dns).map_err(|error| wrong(&error))?;
        let store = store.as_ref().map(|store| -> &dyn Store { store });
        let imagined = Imagined {
            claim,
            conduct: message.conduct.iter().copied().collect(),
            recipient: message.to.clone(),
            signed_by: message.signed_by.iter().map(Domain::to_string).collect(),
        };
        let config = is_configured.then_some(&config);
        let explained = screen.explain(config, &resolver, store, imagined);
        explained.await.map_err(later)
    })?;
    if message.json {
        print_json(&explanation.json())?;
    } else {
        print(&explanation)?;
    }
    Ok(match explanation.code() {
        250 => Outcome::Yes,
        450 => Outcome::Later,
        _ => Outcome::No,
    })
}

fn reputation(config: Option<&Path>, providers: &[Provider]) -> Result<(), Failure> {
    let config = configured(config)?;
    let store = Sqlite::open_beside(&config.data)?;
    let own = OwnAddresses::new(&config.outbound, &store.secret()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let resolver = Resolver::new(&config.dns)?;
    let mut listings = OwnListings::new(&config.outbound.lists)?;
    for address in own.addresses() {
        let found = runtime.block_on(listings.ask(&resolver, address, now()));
        own.listed(address, &found);
        let lists = config.outbound.lists.len();
        if lists > 0 && found.is_empty() {
            println!("{address}: on none of {lists} lists");
        }
        for Listing { list, level } in found {
            println!("{address}: listed on {list}, {level}");
        }
    }
    let known: Vec<Provider> = match providers {
        [] => own
            .providers()
            .cloned()
            .chain([Provider::others()])
            .collect(),
        providers => providers.to_vec(),
    };
    for provider in &known {
        let provider = match provider.as_str().parse::<Domain>() {
            Ok(domain) if provider.is_domain() => {
                runtime.block_on(own.provider(&resolver, &domain))
            }
            _ => provider.clone(),
        };
        let (provider, rows) = own.status(&store, &provider, now())?;
        for row in rows {
            println!("{provider}: {row}");
        }
    }
    Ok(())
}

fn suppressed(config: Option<&Path>, command: &Suppressed) -> Result<(), Failure> {
    let config = configured(config)?;
    let store = Sqlite::open_beside(&config.data)?;
    let list = SuppressionList::new(&config.outbound.suppression, &store.secret()?);
    if !config.outbound.suppression.enabled {
        eprintln!("mail-server: suppression is not enabled; the list has no effect");
    }
    let of = |from: &Option<ReversePath>| {
        from.as_ref().map(|from| match from {
            ReversePath::Null => String::new(),
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
        })
    };
    match command {
        Suppressed::List => {
            for row in list.list(&store, now())? {
                println!("{row}");
            }
        }
        Suppressed::Add {
            recipient,
            from,
            days,
        } => {
            let recipient = Mailbox::parse_utf8(recipient)?.to_string();
            let until = days.map(|days| now().saturating_add(days.saturating_mul(86_400)));
            list.add(&store, of(from).as_deref(), &recipient, until, now())?;
        }
        Suppressed::Remove { recipient, from } => {
            match list.remove(&store, of(from).as_deref(), recipient, now())? {
                0 => return Err(format!("{recipient} is not on the list").into()),
                removed => println!("{recipient}: {removed} removed"),
            }
        }
    }
    Ok(())
}

fn users(config: Option<&Path>, user: &User) -> Result<(), Failure> {
    match user {
        User::Keys => println!("{}", keys_of(&password()?)?),
        User::Add { name, addresses } => {
            let store = Sqlite::open_beside(configured(config)?.data)?;
            store.put_account(name, &keys_of(&password()?)?.to_string(), addresses)?;
            println!("{name} can log in");
        }
        User::List => {
            let store = Sqlite::open_beside(configured(config)?.data)?;
            for account in store.accounts()? {
                println!("{}", account.name);
            }
        }
    }
    Ok(())
}

fn password() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        eprintln!("Password (it is shown as you type; better pipe it in):");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("no password on standard input".into());
    }
    Ok(password.to_owned())
}

fn dkim_key(domain: &Domain, selector: &Domain, out: &Path) -> Result<(), Failure> {
    let name = dkim_keys::name(selector, domain)?;
    let record = dkim_keys::make(dkim_keys::Kind::Ed25519, 0, out)?;
    println!("{}", record.zone_line(&name));
    Ok(())
}
