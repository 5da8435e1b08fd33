//! Sends a message file by SMTP (RFC 5321), with STARTTLS or implicit TLS, and a login where wanted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use examples::command_line::{
    EXIT_CODES, Message, Outcome, Server, ToolError, exit, needs_smtputf8, password, print,
    reverse_path, trust, with_crlf,
};
use examples::outgoing::{Connection, Content, SendError, send};
use examples::tls::Trust;
use mail_syntax::{ForwardPath, Host, ReversePath};
use sasl_core::{Credentials, Identity};
use smtp_proto::Reply;
use smtp_proto::client::TlsPolicy;

/// Sends a message to the recipients over one server, and prints what the server says to each.
///
/// Exits with 0 if the server took it for all of them; else with 1 if it refused one for good, and with 75 if it may be tried again.
#[derive(Parser)]
#[command(after_help = format!(
    "EXAMPLE: smtp-send mail.example.com:587 message.eml --from joe@example.com --to ann@example.org \\\n         \
     --user joe --password-file password.txt\n\n{EXIT_CODES}"
))]
struct Arguments {
    /// HOST:PORT of the server.
    server: Server,
    #[command(flatten)]
    message: Message,
    /// The reverse-path; '<>' is the null one.
    #[arg(long, value_parser = reverse_path)]
    from: ReversePath,
    /// A recipient; may be given several times.
    #[arg(long, required = true, value_parser = forward_path)]
    to: Vec<ForwardPath>,
    /// When TLS begins, and whether it must.
    #[arg(long, value_enum, default_value = "require")]
    tls: Tls,
    /// Trust the certificates in this PEM file instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Log in as this user.
    #[arg(long, requires = "password_file")]
    user: Option<Identity>,
    /// A file with the password and nothing else.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// What to say in EHLO.
    #[arg(long, default_value = "[127.0.0.1]")]
    hello: Host,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Tls {
    /// STARTTLS and a certificate that is trusted, or nothing.
    Require,
    /// STARTTLS if it is offered, and without --ca any certificate.
    Opportunistic,
    /// TLS from the first octet, as on port 465.
    Implicit,
    /// In the clear.
    Never,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("smtp-send", run(Arguments::parse()).await)
}

fn forward_path(text: &str) -> Result<ForwardPath, mail_syntax::mailbox::MailboxError> {
    ForwardPath::parse_utf8(&format!("<{}>", text.trim_matches(['<', '>'])))
}

async fn run(arguments: Arguments) -> Result<Outcome, ToolError> {
    let message = with_crlf(&arguments.message.read_exact()?);
    let trust = match (arguments.tls, &arguments.ca) {
        (Tls::Never, _) | (Tls::Opportunistic, None) => Trust::Anyone,
        (_, ca) => trust(ca.as_deref())?,
    };
    let credentials = match (arguments.user, &arguments.password_file) {
        (Some(user), Some(file)) => Some(Credentials::new(user, password(file)?.expose_secret())),
        _ => None,
    };
    let paths = (arguments.to.iter().map(ForwardPath::mailbox)).chain([arguments.from.mailbox()]);
    let smtputf8 = needs_smtputf8(&message, paths.flatten());
    let mut last = None;
    for address in arguments.server.addresses().await? {
        let connection = Connection {
            address,
            host: arguments.server.host.clone(),
            hello: arguments.hello.clone(),
            tls: match arguments.tls {
                Tls::Require => TlsPolicy::Require,
                Tls::Opportunistic => TlsPolicy::Opportunistic,
                Tls::Implicit => TlsPolicy::Implicit,
                Tls::Never => TlsPolicy::Never,
            },
            trust: trust.clone(),
            source: None,
            credentials: credentials.clone(),
        };
        let content = Content::Octets(message.clone());
        let (from, to) = (arguments.from.clone(), arguments.to.clone());
        match send(connection, from, to, smtputf8, content).await {
            Ok(replies) => return report(&arguments.to, &replies),
            // Nobody is there; another address of the same host may answer.
            Err(error @ SendError::Connect { .. }) => last = Some(error),
            Err(error) if error.is_permanent() => {
                return Err(ToolError::Refused(error.to_string()));
            }
            Err(error) => return Err(ToolError::Later(error.to_string())),
        }
    }
    let why = last.map_or_else(String::new, |error| error.to_string());
    Err(ToolError::Later(why))
}

fn report(recipients: &[ForwardPath], replies: &[Reply]) -> Result<Outcome, ToolError> {
    for (recipient, reply) in recipients.iter().zip(replies) {
        print(format_args!("{recipient}: {reply}"))?;
    }
    Ok(if replies.iter().all(Reply::is_positive) {
        Outcome::Yes
    } else if replies.iter().any(Reply::is_permanent) {
        Outcome::No
    } else {
        Outcome::Later
    })
}
