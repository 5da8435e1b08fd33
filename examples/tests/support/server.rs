//! A server with one account, anna of example.org, on ports that the system chooses; and a client to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;

use examples::config::Config;
use examples::resolver::Resolver;
use examples::server::{Context, Security, Server, Service};
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

fn config(folder: &Folder, more: &str) -> Config {
    let (certificate, key) = (
        folder.folder().join("certificate.pem"),
        folder.folder().join("key.pem"),
    );
    examples::tls::make_self_signed(&["localhost".to_owned()], &certificate, &key).unwrap();
    let file = folder.write("mail-server.toml", format!("{CONFIGURATION}{more}"));
    Config::read(file.as_ref()).unwrap()
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

    pub fn address(&self, wanted: Service) -> SocketAddr {
        let mut addresses = self.addresses.iter();
        addresses
            .find(|(service, ..)| *service == wanted)
            .unwrap()
            .2
    }

    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
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
        let header = format!("PROXY TCP4 {source} 127.0.0.1 4000 25\r\n");
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
