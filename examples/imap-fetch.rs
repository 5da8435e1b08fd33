//! Reads a mailbox by IMAP (RFC 9051): lists its messages, or prints the octets of one.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use examples::command_line::{
    EXIT_CODES, Outcome, Server, ToolError, exit, password, print, print_octets, readable, trust,
};
use imap_proto::client::{Event, Limits, Session, TlsPolicy};
use imap_proto::{
    CommandBody, Data, FetchItem, FetchValue, Mailbox, Section, SectionData, SectionName,
    StatusKind,
};
use mail_syntax::mime::decode_words;
use mail_wire::driver::tokio::Driver;
use mail_wire::{Secret, Transport};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

/// Lists the messages of a mailbox, or with --uid prints the octets of one. It changes nothing, not even \Seen.
///
/// Exits with 1 where the login, the mailbox or the message is refused or missing, and with 75 where the connection fails.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: imap-fetch mail.example.com:993 --user joe --password-file password.txt --uid 7 > message.eml\n\n{EXIT_CODES}"
))]
struct Arguments {
    /// HOST:PORT of the server.
    server: Server,
    /// The user.
    #[arg(long)]
    user: String,
    /// A file with the password and nothing else.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// Begin with STARTTLS, as on port 143, instead of TLS from the first octet; nothing is said without it.
    #[arg(long)]
    starttls: bool,
    /// Trust the certificates in this PEM file instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The mailbox.
    #[arg(long, default_value = "INBOX")]
    mailbox: Mailbox,
    /// Print this message.
    #[arg(long)]
    uid: Option<NonZeroU32>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("imap-fetch", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<Outcome, ToolError> {
    let password = password(&arguments.password_file)?;
    let mut server = connect(&arguments).await?;
    if arguments.starttls {
        server.command(CommandBody::StartTls, ignore).await?;
    }
    let user = arguments.user.into_bytes();
    let password = Secret::new(password.expose_secret().as_bytes().to_vec());
    server
        .command(CommandBody::Login { user, password }, ignore)
        .await?;
    server
        .command(CommandBody::Examine(arguments.mailbox), ignore)
        .await?;
    let outcome = match arguments.uid {
        Some(uid) => server.print(uid).await?,
        None => server.list().await?,
    };
    server.command(CommandBody::Logout, ignore).await?;
    Ok(outcome)
}

fn ignore(_: Event) -> Result<(), ToolError> {
    Ok(())
}

fn later(error: impl std::fmt::Display) -> ToolError {
    ToolError::Later(error.to_string())
}

async fn connect(arguments: &Arguments) -> Result<Connection, ToolError> {
    let name = ServerName::try_from(arguments.server.host.clone())
        .map_err(|error| ToolError::usage(&arguments.server.host, error))?;
    let tls = trust(arguments.ca.as_deref())?
        .client(name)
        .map_err(later)?;
    let addresses = arguments.server.addresses().await?;
    let stream = TcpStream::connect(addresses.as_slice())
        .await
        .map_err(later)?;
    let entropy = ring::rand::generate(&ring::rand::SystemRandom::new()).map_err(later)?;
    let session = Session::new(TlsPolicy::Require, Limits::default(), entropy.expose());
    let transport = match arguments.starttls {
        false => Transport::new(session).with_implicit_tls_client(tls),
        true => Transport::new(session).with_start_tls_client(tls),
    };
    let mut driver = Driver::new(transport, stream);
    match driver.next().await.map_err(later)? {
        Some(Event::Greeting(status)) if status.kind == StatusKind::Bye => Err(later(status.text)),
        Some(Event::Greeting(_)) => Ok(Connection(driver)),
        _ => Err(later("the server closed the connection without a greeting")),
    }
}

struct Connection(Driver<Session, TcpStream>);

impl Connection {
    /// Gives a command and waits for its end; what comes before goes to `see`.
    async fn command(
        &mut self,
        body: CommandBody,
        mut see: impl FnMut(Event) -> Result<(), ToolError>,
    ) -> Result<(), ToolError> {
        let id = self.0.session().command(body).map_err(later)?;
        while let Some(event) = self.0.next().await.map_err(later)? {
            match event {
                Event::Done(done, status) if done == id => {
                    return match status.kind {
                        StatusKind::Ok => Ok(()),
                        _ => Err(ToolError::Refused(format!(
                            "the server said: {}",
                            status.text
                        ))),
                    };
                }
                event => see(event)?,
            }
        }
        Err(later("the server closed the connection"))
    }

    async fn print(&mut self, uid: NonZeroU32) -> Result<Outcome, ToolError> {
        let mut found = Outcome::No;
        let whole = FetchItem::Section {
            name: SectionName::Body(Section::default()),
            peek: true,
            partial: None,
        };
        let fetch = CommandBody::Fetch {
            uid: true,
            set: uid.into(),
            items: vec![whole],
        };
        let see = |event| match event {
            Event::Body(octets) => print_octets(&octets),
            Event::Data(Data::Fetch(_, values)) => {
                for value in values {
                    let FetchValue::Section { data, .. } = value else {
                        continue;
                    };
                    found = Outcome::Yes;
                    if let SectionData::Here(Some(octets)) = data {
                        print_octets(&octets)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        };
        self.command(fetch, see).await?;
        if found == Outcome::No {
            eprintln!("imap-fetch: there is no message with the UID {uid}");
        }
        Ok(found)
    }

    async fn list(&mut self) -> Result<Outcome, ToolError> {
        let items = vec![
            FetchItem::Uid,
            FetchItem::Size,
            FetchItem::Flags,
            FetchItem::Envelope,
        ];
        let set = "1:*".parse().map_err(later)?;
        let see = |event| {
            if let Event::Data(Data::Fetch(_, values)) = event {
                print(line(&values))?;
            }
            Ok(())
        };
        self.command(
            CommandBody::Fetch {
                uid: true,
                set,
                items,
            },
            see,
        )
        .await?;
        Ok(Outcome::Yes)
    }
}

/// UID, size, flags, author and subject of a message.
fn line(values: &[FetchValue]) -> String {
    let mut columns = [const { String::new() }; 5];
    for value in values {
        match value {
            FetchValue::Uid(uid) => columns[0] = uid.to_string(),
            FetchValue::Size(size) => columns[1] = size.to_string(),
            FetchValue::Flags(flags) => {
                let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
                columns[2] = flags.join(" ");
            }
            FetchValue::Envelope(envelope) => {
                if let Some(author) = envelope.from.first() {
                    let part = |part: &Option<Vec<u8>>| decoded(part.as_deref());
                    columns[3] = format!("{}@{}", part(&author.mailbox), part(&author.host));
                }
                columns[4] = decoded(envelope.subject.as_deref());
            }
            _ => {}
        }
    }
    columns.join("\t")
}

/// Words of a stranger, decoded.
fn decoded(text: Option<&[u8]>) -> String {
    readable(&decode_words(&String::from_utf8_lossy(text.unwrap_or_default())).replace('\t', " "))
}
