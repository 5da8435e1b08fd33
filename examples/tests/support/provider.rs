//! A provider to which mail is sent.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::Folder;

/// A provider's server: it takes mail, or says to each recipient what it is told to.
#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    /// From where each message that was taken came.
    taken: Arc<Mutex<Vec<IpAddr>>>,
    messages: Arc<Mutex<Vec<String>>>,
    rcpt: Arc<Mutex<&'static str>>,
    asked: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    pub most_open: Arc<AtomicUsize>,
    /// Connections in all.
    connections: Arc<AtomicUsize>,
    conduct: Arc<Mutex<Conduct>>,
    /// MAIL and RCPT as they came.
    commands: Arc<Mutex<Vec<String>>>,
}

/// What it does on each connection.
#[derive(Clone, Copy, Default)]
pub enum Conduct {
    #[default]
    Good,
    /// It offers this in EHLO.
    Offers(&'static str),
    /// After so many messages it answers MAIL by this, and closes where that is 421 or nothing.
    EndsAfter(usize, &'static str),
    /// It hangs up in the middle of the second message, once, and on the connection that the first had.
    DiesInData,
    /// It hangs up behind the last octet of the second message, and says nothing, once.
    DiesBeforeItsAnswer,
    /// It answers to each message once more, a little later.
    AnswersTwice,
    /// It answers to a message a second later.
    IsSlow,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            taken: Arc::default(),
            messages: Arc::default(),
            rcpt: Arc::new(Mutex::new("250 OK")),
            asked: Arc::default(),
            open: Arc::default(),
            most_open: Arc::default(),
            connections: Arc::default(),
            conduct: Arc::default(),
            commands: Arc::default(),
        };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((socket, peer)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let open = serving.open.fetch_add(1, Ordering::SeqCst) + 1;
                    serving.most_open.fetch_max(open, Ordering::SeqCst);
                    serving.connections.fetch_add(1, Ordering::SeqCst);
                    // A client that hangs up has ended its session.
                    let _ = serving.session(socket, peer.ip()).await;
                    serving.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        provider
    }

    async fn session(&self, socket: TcpStream, peer: IpAddr) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        socket.write_all(b"220 mx.dest.example\r\n").await?;
        let (mut line, mut in_data) = (String::new(), false);
        let (mut message, mut carried) = (String::new(), 0);
        loop {
            line.clear();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let conduct = *self.conduct.lock().unwrap();
            if !in_data && (line.starts_with("MAIL") || line.starts_with("RCPT")) {
                let command = line.trim_end().to_owned();
                self.commands.lock().unwrap().push(command);
            }
            let hello;
            let reply = match line.split([' ', '\r']).next().unwrap_or_default() {
                "." if in_data => {
                    in_data = false;
                    carried += 1;
                    match conduct {
                        Conduct::DiesBeforeItsAnswer if carried == 2 => {
                            self.behave(Conduct::Good);
                            self.taken.lock().unwrap().push(peer);
                            return Ok(());
                        }
                        Conduct::IsSlow => tokio::time::sleep(Duration::from_secs(1)).await,
                        _ => {}
                    }
                    self.messages
                        .lock()
                        .unwrap()
                        .push(std::mem::take(&mut message));
                    self.taken.lock().unwrap().push(peer);
                    "250 2.0.0 taken"
                }
                _ if in_data => {
                    message.push_str(&line);
                    if matches!(conduct, Conduct::DiesInData) && carried == 1 {
                        self.behave(Conduct::Good);
                        return Ok(());
                    }
                    continue;
                }
                "EHLO" => match conduct {
                    Conduct::Offers(what) => {
                        hello = format!("250-mx.dest.example\r\n250 {what}");
                        &hello
                    }
                    _ => "250 mx.dest.example",
                },
                "MAIL" => match conduct {
                    Conduct::EndsAfter(most, "") if carried >= most => return Ok(()),
                    Conduct::EndsAfter(most, reply) if carried >= most => reply,
                    _ => "250 OK",
                },
                "RCPT" => {
                    self.asked.fetch_add(1, Ordering::SeqCst);
                    *self.rcpt.lock().unwrap()
                }
                "DATA" => {
                    in_data = true;
                    "354 go on"
                }
                _ => "250 OK",
            };
            socket.write_all(format!("{reply}\r\n").as_bytes()).await?;
            if matches!(conduct, Conduct::AnswersTwice) && reply.ends_with("taken") {
                tokio::time::sleep(Duration::from_millis(50)).await;
                socket.write_all(b"250 2.0.0 taken\r\n").await?;
            }
            if reply.starts_with("421") {
                return Ok(());
            }
        }
    }

    pub fn behave(&self, conduct: Conduct) {
        *self.conduct.lock().unwrap() = conduct;
    }

    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn say(&self, rcpt: &'static str) {
        *self.rcpt.lock().unwrap() = rcpt;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn taken(&self) -> Vec<IpAddr> {
        self.taken.lock().unwrap().clone()
    }

    /// What it took, dots stuffed.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    pub fn taken_from(&self, source: &str) -> usize {
        let source: IpAddr = source.parse().unwrap();
        self.taken().into_iter().filter(|it| *it == source).count()
    }

    /// The configuration of a server whose mail comes here; `plan` is its plan of warm-up.
    pub fn config(&self, folder: &Folder, plan: &str, more: &str) -> String {
        folder.write("warm-up.toml", plan);
        let port = self.address.port();
        format!("[outbound]\nport = {port}\nwarm_up = \"warm-up.toml\"\nretry = [1]\n{more}\n")
    }
}
