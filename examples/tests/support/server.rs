//! A server with one account, anna of example.org, on ports that the system chooses; and a client to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;

use examples::config::Config;
use examples::demo;
use examples::outgoing::Connection;
use examples::resolver::Resolver;
use examples::server::{Context, Security, Server, Service};
use examples::tls::Trust;
use mail_syntax::Host;
use sasl_core::Credentials;
use smtp_proto::client::TlsPolicy;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Folder;

pub const PASSWORD: &str = "pencil & paper";

const CONFIGURATION: &str = r#"
    hostname = "mx.example.org"
    domains = ["example.org"]
    data = "data"
    [tls]
    certificate = "certificate.pem"
    key = "key.pem"
    [listen]
    smtp = ["127.0.0.1:0"]
    submission = ["127.0.0.1:0"]
    imap = ["127.0.0.1:0"]
    imaps = ["127.0.0.1:0"]
    [[account]]
    name = "anna"
    addresses = ["anna@example.org"]
    password = "pencil & paper"
"#;

/// A server that was bound and does not run.
pub async fn bind(folder: &Folder, more: &str, resolver: Resolver) -> Server {
    let config = config(folder, more);
    Server::bind_with(config, resolver).await.unwrap()
}

/// Why a server does not start.
pub async fn try_bind(folder: &Folder, more: &str, resolver: Resolver) -> Result<Server, String> {
    let config = try_config(folder, more)?;
    let server = Server::bind_with(config, resolver).await;
    server.map_err(|error| error.to_string())
}

fn config(folder: &Folder, more: &str) -> Config {
    try_config(folder, more).unwrap()
}

fn try_config(folder: &Folder, more: &str) -> Result<Config, String> {
    let (certificate, key) = (
        folder.folder().join("certificate.pem"),
        folder.folder().join("key.pem"),
    );
    examples::tls::make_self_signed(&["localhost".to_owned()], &certificate, &key).unwrap();
    let file = folder.write("mail-server.toml", format!("{CONFIGURATION}{more}"));
    Config::read(file.as_ref()).map_err(|error| error.to_string())
}

/// A server that runs.
pub struct Running {
    pub context: Arc<Context>,
    addresses: Vec<(Service, Security, SocketAddr)>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Running {
    pub async fn start(folder: &Folder, more: &str, resolver: Resolver) -> Self {
        Self::run(bind(folder, more, resolver).await)
    }

    /// The same behind a load balancer: a client says by itself where it comes from.
    pub async fn start_behind_proxy(folder: &Folder, more: &str, resolver: Resolver) -> Self {
        let mut config = config(folder, more);
        config.listen.proxy_header = true;
        Self::run(Server::bind_with(config, resolver).await.unwrap())
    }

    /// The same, whose queue takes the time to be so many seconds later.
    pub async fn start_ahead(
        folder: &Folder,
        more: &str,
        resolver: Resolver,
        seconds: u64,
    ) -> Self {
        let server = bind(folder, more, resolver).await;
        server.context().clock.advance(seconds);
        Self::run(server)
    }

    fn run(server: Server) -> Self {
        let (stop, end) = oneshot::channel::<()>();
        Self {
            context: Arc::clone(server.context()),
            addresses: server.addresses().to_vec(),
            stop,
            running: tokio::spawn(server.run(async {
                let _ = end.await;
            })),
        }
    }

    /// Where a service begins in the clear.
    /// How `examples::outgoing` connects to it; with a login as anna.
    pub fn connection(&self, to: Service, with_login: bool) -> Connection {
        let login = with_login.then(|| Credentials::new("anna".parse().unwrap(), PASSWORD));
        Connection {
            address: self.address(to),
            host: "localhost".to_owned(),
            hello: Host::Domain("client.example".parse().unwrap()),
            tls: TlsPolicy::Require,
            trust: Trust::Anyone,
            source: None,
            credentials: login,
        }
    }

    pub fn address(&self, wanted: Service) -> SocketAddr {
        self.address_with(wanted, Security::StartTls)
    }

    pub fn address_with(&self, service: Service, security: Security) -> SocketAddr {
        address(&self.addresses, service, security)
    }

    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
}

fn address(
    all: &[(Service, Security, SocketAddr)],
    service: Service,
    security: Security,
) -> SocketAddr {
    let is_it = |of: &&(Service, Security, SocketAddr)| (of.0, of.1) == (service, security);
    all.iter().find(is_it).unwrap().2
}

/// The demo's server on ports that the system chooses, while `test` runs; `on` gives the port of a service.
pub fn with_demo(folder: &Folder, test: impl FnOnce(&dyn Fn(Service, Security) -> u16)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config = demo::config(folder.folder());
    let listen = &mut config.listen;
    for ports in [
        &mut listen.smtp,
        &mut listen.submission,
        &mut listen.submissions,
        &mut listen.imap,
        &mut listen.imaps,
        &mut listen.pop3,
        &mut listen.pop3s,
    ] {
        ports.iter_mut().for_each(|address| address.set_port(0));
    }
    let demo = runtime.block_on(demo::prepare_with(config)).unwrap();
    let (server, _, _) = demo.into_parts();
    let addresses = server.addresses().to_vec();
    let (end, ended) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async move {
        let _ = ended.await;
    }));
    test(&|service, security| address(&addresses, service, security).port());
    drop(end);
    runtime.block_on(running).unwrap();
}

/// A client that says what it is told, in the clear.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        assert!(client.reply().await.starts_with("220"));
        client
    }

    /// From an IPv4 address, by what the load balancer says.
    pub async fn connect_from(source: &str, address: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        let header = match source.contains(':') {
            true => format!("PROXY TCP6 {source} ::1 4000 25\r\n"),
            false => format!("PROXY TCP4 {source} 127.0.0.1 4000 25\r\n"),
        };
        client.send(header.as_bytes()).await;
        assert!(client.reply().await.starts_with("220"));
        client
    }

    /// Connects, and talks before it is greeted.
    pub async fn connect_saying(octets: &[u8], address: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        client.send(octets).await;
        assert!(client.reply().await.starts_with("220"));
        client
    }

    /// Sends octets as they are.
    pub async fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).await.unwrap();
    }

    /// The next reply, all its lines.
    pub async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            assert_ne!(self.0.read_line(&mut reply).await.unwrap(), 0, "{reply}");
            if reply.as_bytes()[start + 3] == b' ' {
                return reply;
            }
        }
    }

    /// Waits until the server closes the connection.
    pub async fn end(mut self) {
        let mut rest = String::new();
        self.0.read_line(&mut rest).await.unwrap();
        assert_eq!(rest, "");
    }

    /// Sends a command, and expects a reply of this code.
    #[track_caller]
    pub fn ask(&mut self, command: &str, code: &str) -> impl Future<Output = String> {
        let line = format!("{command}\r\n");
        async move {
            self.send(line.as_bytes()).await;
            let reply = self.reply().await;
            assert!(reply.starts_with(code), "{line}{reply}");
            reply
        }
    }
}
