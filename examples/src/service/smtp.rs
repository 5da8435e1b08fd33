//! The SMTP service: mail from anywhere on 25, mail of our users on 587 and 465.
//!
//! Relaying is for those who have logged in. A message is acknowledged once it is on disk, and not before.

mod deliver;
mod wishes;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_syntax::{ForwardPath, ReversePath};
use mail_wire::driver::tokio::Driver;
use mail_wire::{Pending, Proxied, Stale, Transport, TransportError};
use message_auth::{Inbound, MessageAuth};
use screening::early_talker::Offence;
use smtp_proto::server::{AnswerError, Config, Error, Event, Role, Session, StartTls, asked};
use smtp_proto::{EnhancedStatus, RcptParameters, Reply};
use tokio::net::TcpStream;

use crate::accounts::{AuthAnswer, Login, entropy, random_word};
use crate::config::Limits;
use crate::forwarding;
use crate::identities::{self, Authors, Submitter};
use crate::intake::{Intake, Purpose, Refused, Submission};
use crate::judge::Judge;
use crate::routing::{self, Route, may_come_in, routes};
use crate::screen::{Answer, Visit, is_postmaster};
use crate::server::{Context, Security, Service, now};
use crate::store::StoreError;
use wishes::Wishes;

/// Serves one connection.
pub async fn serve(
    context: Arc<Context>,
    service: Service,
    security: Security,
    socket: TcpStream,
    peer: SocketAddr,
) {
    let Ok(hostname) = context.config.hostname.parse() else {
        tracing::error!("the host name was checked at the start");
        return;
    };
    let account = match service {
        Service::Submission => context.accounts.granted(peer.ip()).await,
        _ => None,
    };
    let mut config = Config::new(hostname);
    config.role = match service {
        // Who has read mail by POP needs no login.
        Service::Submission if account.is_none() => Role::Submission,
        _ => Role::Mx,
    };
    config.start_tls = match security {
        Security::StartTls => StartTls::Offered,
        Security::Implicit => StartTls::Unavailable,
    };
    config.sasl = Some(context.accounts.sasl().clone());
    // Only our users: a stranger who is told that his mail was delivered has learnt who is here.
    config.dsn = service == Service::Submission;
    config.limits.message = context.config.limits.message;
    let session = Session::new(Arc::new(config), entropy());
    let mut transport = match security {
        Security::StartTls => Transport::new(session).with_start_tls_server(context.tls.clone()),
        Security::Implicit => Transport::new(session).with_implicit_tls_server(context.tls.clone()),
    };
    if service == Service::Smtp && context.config.listen.proxy_header {
        transport = transport.with_proxy_header();
    }
    let mut visit = None;
    // Behind a load balancer neither the address nor what comes first is the client's: it is screened from its PROXY header on, and
    // whether it waits for the greeting is not seen.
    if service == Service::Smtp && !context.config.listen.proxy_header {
        visit = Visit::begin(&context, peer.ip().to_canonical());
        if let Some(visit) = &mut visit {
            visit.wait_to_greet(&context, &socket).await;
        }
    }
    let mut stopping = context.stopping.clone();
    let by_pop = account.is_some();
    let mut connection = Connection {
        context,
        driver: Driver::new(transport, socket),
        service,
        peer,
        visit,
        login: Login::default(),
        account,
        by_pop,
        mail: None,
    };
    let ended = tokio::select! {
        ended = connection.run() => ended,
        // What was not acknowledged is sent again by the client.
        _ = stopping.wait_for(|stopping| *stopping) => Err(Ended::Stopping),
    };
    if let Err(Ended::Session(TransportError::Session(Error::TooManyErrors | Error::CrossProtocol))) =
        &ended
        && let Some(visit) = connection
            .visit
            .as_ref()
            .filter(|_| connection.account.is_none())
    {
        visit.turned_out(&connection.context).await;
    }
    match ended {
        Ok(()) => tracing::debug!(%peer, "smtp: closed"),
        Err(end) => tracing::info!(%peer, %end, "smtp: ended"),
    }
}

/// Why a session ended before its time.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Session(#[from] mail_wire::TransportError<smtp_proto::server::Error>),
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("the message came too slowly")]
    TooSlow,
    #[error("the server stops")]
    Stopping,
}

/// A transaction.
struct Mail {
    sender: ReversePath,
    smtputf8: bool,
    recipients: Vec<ForwardPath>,
    routes: std::collections::BTreeSet<Route>,
    wishes: Wishes,
    intake: Option<Intake>,
    pace: Pace,
}

/// How fast a message comes.
#[derive(Debug, Default)]
struct Pace {
    octets: u64,
    /// For how long the client was waited for.
    waited: Duration,
}

impl Pace {
    const fn is_too_slow(&self, limits: &Limits) -> bool {
        let seconds = self.waited.as_secs();
        seconds > limits.data_grace && self.octets < seconds.saturating_mul(limits.data_rate)
    }
}

/// Asks the DNS about the message that is arriving. It ends when the next event of the session drops it.
async fn ask(mail: Option<&mut Mail>) -> Infallible {
    if let Some(intake) = mail.and_then(|mail| mail.intake.as_mut()) {
        intake.ask().await;
    }
    std::future::pending().await
}

/// The refusal of a recipient whose mail would go elsewhere, and to nobody for now: whoever sends it is told at once, and not by a bounce.
async fn suppressed(
    context: &Context,
    sender: &ReversePath,
    routes: &BTreeSet<Route>,
) -> Result<Option<Reply>, Reply> {
    let elsewhere: Option<Vec<String>> = (routes.iter())
        .map(|route| match route {
            Route::Remote(address) => Some(address.clone()),
            Route::Local(_) => None,
        })
        .collect();
    let Some(elsewhere) = elsewhere else {
        return Ok(None);
    };
    let sender = match sender {
        ReversePath::Null => String::new(),
        ReversePath::Mailbox(mailbox) => mailbox.to_string(),
    };
    let (list, now) = (Arc::clone(&context.suppression), context.clock.now());
    let found = context.store(move |store| {
        let mut first = None;
        for address in elsewhere {
            match list.check(store, &sender, &address, now)? {
                Some(suppressed) => first = first.or(Some(suppressed)),
                None => return Ok(None),
            }
        }
        Ok(first)
    });
    let found = found.await.map_err(|error| deliver::fault(&error))?;
    Ok(found.map(|suppressed| deliver::suppressed(&suppressed)))
}

struct Connection {
    context: Arc<Context>,
    driver: Driver<Session, TcpStream>,
    service: Service,
    peer: SocketAddr,
    /// What is known of it, if it is to be screened.
    visit: Option<Visit>,
    login: Login,
    /// Who has logged in, here or by POP.
    account: Option<Submitter>,
    /// Whether it was by POP: for as long as the grant lasts.
    by_pop: bool,
    mail: Option<Mail>,
}

impl Connection {
    async fn run(&mut self) -> Result<(), Ended> {
        loop {
            let since = Instant::now();
            let questions = ask(self.mail.as_mut());
            let event = tokio::select! {
                // A question goes out before more of the message is read, however fast that comes.
                biased;
                never = questions => match never {},
                event = self.driver.next() => event?,
            };
            if let Some(mail) = &mut self.mail
                && mail.intake.is_some()
            {
                mail.pace.waited += since.elapsed();
            }
            match event {
                Some(event) => self.answer(event).await?,
                None => return Ok(()),
            }
        }
    }

    /// The client's address, behind a load balancer too.
    fn client(&self) -> IpAddr {
        match self.driver.transport().proxied() {
            Some(Proxied::Tcp { source, .. }) => source.ip().to_canonical(),
            _ => self.peer.ip().to_canonical(),
        }
    }

    async fn answer(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Connected(pending) => self.connected(pending).await?,
            Event::Hello { pending, .. } => self.driver.session().accept(pending)?,
            Event::Mail {
                reverse_path,
                parameters,
                pending,
            } => match self.sender(&reverse_path).await {
                Ok(()) => {
                    if let Some(visit) = &mut self.visit {
                        visit.begin_message();
                    }
                    self.mail = Some(Mail {
                        sender: reverse_path,
                        smtputf8: parameters.smtputf8,
                        recipients: Vec::new(),
                        routes: std::collections::BTreeSet::new(),
                        wishes: Wishes::new(&parameters),
                        intake: None,
                        pace: Pace::default(),
                    });
                    self.driver.session().accept(pending)?;
                }
                Err(reply) => self.driver.session().reject(pending, reply)?,
            },
            Event::Rcpt {
                forward_path,
                parameters,
                pending,
            } => match self.recipient(forward_path, parameters).await {
                Ok(()) => self.driver.session().accept(pending)?,
                Err(reply) => {
                    tracing::info!(client = %self.client(), %reply, "smtp: recipient refused");
                    self.driver.session().reject(pending, reply)?;
                }
            },
            Event::Data(pending) => match self.begin().await {
                Ok(()) => self.driver.session().accept(pending)?,
                Err(error) => {
                    tracing::error!(%error, "smtp: no spool");
                    self.driver
                        .session()
                        .reject(pending, deliver::fault(&error))?;
                }
            },
            Event::Body(octets) => {
                if let Some(mail) = &mut self.mail
                    && let Some(intake) = &mut mail.intake
                {
                    intake.write(&self.context, &octets);
                    mail.pace.octets += octets.len() as u64;
                    // Who sends nothing at all is ended by the session.
                    if mail.pace.is_too_slow(&self.context.config.limits) {
                        return Err(Ended::TooSlow);
                    }
                }
            }
            Event::EndOfData { pending, .. } => {
                let reply = self.deliver().await;
                tracing::info!(client = %self.client(), %reply, "smtp: message");
                if reply.is_positive() {
                    self.driver.session().accept_with(pending, reply)?;
                } else {
                    self.driver.session().reject(pending, reply)?;
                }
            }
            Event::Vrfy { pending, .. } => self.driver.session().accept(pending)?,
            Event::Auth { question, pending } => {
                let (accounts, client) = (&self.context.accounts, self.client());
                let answer = accounts.answer(client, &mut self.login, question).await;
                let session = self.driver.session();
                match answer {
                    AuthAnswer::StoredKeys(keys) => session.stored_keys(pending, keys)?,
                    AuthAnswer::Password(is_right) => session.password(pending, is_right)?,
                    AuthAnswer::Authorized(may_act) => session.authorized(pending, may_act)?,
                    AuthAnswer::Unavailable => session.auth_unavailable(pending)?,
                }
            }
            Event::Authenticated(login) => {
                let client = self.client();
                self.context
                    .accounts
                    .succeeded(client, &mut self.login)
                    .await;
                self.by_pop = false;
                tracing::info!(%client, user = ?login.identity().as_str(), "smtp: logged in");
                let account = self
                    .context
                    .accounts
                    .account(login.identity().as_str())
                    .await;
                self.account = account.ok().flatten().map(|account| Submitter {
                    account: account.id,
                    name: account.name,
                });
            }
            Event::AuthenticationFailed(reason) => {
                let client = self.client();
                tracing::warn!(%client, %reason, "smtp: login failed");
                // The answer waits in the output until then.
                let delay = self.context.accounts.failed(client, &mut self.login).await;
                tokio::time::sleep(delay).await;
            }
            Event::Aborted(why) => {
                tracing::debug!(peer = %self.peer, ?why, "smtp: transaction lost");
                self.mail = None;
            }
            Event::Mistake {
                cause,
                reply,
                is_too_many,
            } => {
                tracing::debug!(peer = %self.peer, %cause, %reply, "smtp: mistake");
                if let Some(visit) = &mut self.visit {
                    visit.made(cause);
                }
                if is_too_many {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn connected(&mut self, pending: Pending<asked::Greeting>) -> Result<(), Ended> {
        let client = self.client();
        tracing::debug!(%client, service = ?self.service, "smtp: connected");
        if self.service == Service::Smtp && self.context.config.listen.proxy_header {
            self.visit = Visit::begin(&self.context, client);
        }
        Ok(self.driver.session().accept(pending)?)
    }

    /// Whether mail is taken from this sender.
    async fn sender(&mut self, reverse_path: &ReversePath) -> Result<(), Reply> {
        deliver::deceptive(&reverse_path.to_string(), EnhancedStatus::BAD_SENDER_SYNTAX)?;
        if self.by_pop {
            self.account = self.context.accounts.granted(self.client()).await;
        }
        let Some(submitter) = &self.account else {
            if self.service != Service::Submission {
                return Ok(());
            }
            // RFC 6409 §4.3: "The MSA MUST, by default, issue an error response to the MAIL command if the session has not been
            // authenticated using [SMTP-AUTH]".
            return Err(deliver::reply(
                530,
                EnhancedStatus::SECURITY,
                "Authentication required",
            ));
        };
        let ReversePath::Mailbox(mailbox) = reverse_path else {
            return Ok(());
        };
        let address = mailbox.to_string();
        match identities::may_send_as(&self.context, submitter, &address).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(deliver::not_yours(&identities::Refused::NotYours {
                field: "MAIL FROM",
                address,
            })),
            Err(error) => Err(deliver::fault(&error)),
        }
    }

    /// Takes a recipient in.
    async fn recipient(
        &mut self,
        forward_path: ForwardPath,
        parameters: RcptParameters,
    ) -> Result<(), Reply> {
        let address = match &forward_path {
            ForwardPath::Postmaster => "postmaster".to_owned(),
            ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
        };
        deliver::deceptive(&address, EnhancedStatus::BAD_DESTINATION_SYNTAX)?;
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_ours = domain.is_empty() || self.context.config.is_local(domain);
        if self.account.is_none() {
            may_come_in(&self.context.config, &address).map_err(deliver::refused)?;
        }
        let found = routes(&self.context, &address)
            .await
            .map_err(|error| deliver::fault(&error))?;
        let is_stranger = self.account.is_none() && !is_postmaster(&address);
        if found.is_empty() {
            if let Some(visit) = self.visit.as_mut().filter(|_| is_stranger) {
                visit.unknown_recipient(&self.context).await;
            }
            return Err(deliver::refused(routing::Refused::NoSuchUser));
        }
        // Its mail is not screened, but not without bounds either.
        if self.visit.is_some() && self.account.is_none() && is_postmaster(&address) {
            let (screen, client) = (&self.context.screen, self.client());
            let too_much = screen.postmaster_gets_too_much(&self.context, client);
            if let Some(seconds) = too_much.await.map_err(|error| deliver::fault(&error))? {
                return Err(deliver::not_now(&Answer::too_much(seconds)));
            }
        }
        let Some(mail) = &mut self.mail else {
            return Err(deliver::fault(&StoreError::Missing("the transaction")));
        };
        if let Some(suppressed) = suppressed(&self.context, &mail.sender, &found).await? {
            return Err(suppressed);
        }
        if let Some(visit) = self.visit.as_mut().filter(|_| is_stranger) {
            if self.driver.session().did_not_wait() {
                visit.saw(Offence::Pipelining);
            }
            let hello = self.driver.session().hello();
            let helo = hello.map(|hello| hello.host.to_string());
            let answer = visit.recipient(&self.context, helo, &mail.sender, &address);
            if let Some(answer) = answer.await.map_err(|error| deliver::fault(&error))? {
                return Err(deliver::not_now(&answer));
            }
        }
        if let Some(submitter) = &self.account {
            let elsewhere = Some(domain).filter(|_| !is_ours);
            let (screen, login) = (&self.context.screen, &submitter.name);
            let too_much = screen.user_sends_too_much(&self.context, login, elsewhere);
            if let Some(seconds) = too_much.await.map_err(|error| deliver::fault(&error))? {
                return Err(deliver::not_now(&Answer::too_much(seconds)));
            }
        }
        mail.wishes.recipient(&forward_path, parameters, &found);
        mail.recipients.push(forward_path);
        mail.routes.extend(found);
        Ok(())
    }

    /// A message is about to come.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let spool = self.context.store(|store| store.spool()).await?;
        let client = self.client();
        let context = Arc::clone(&self.context);
        let helo = self
            .driver
            .session()
            .hello()
            .map(|hello| hello.host.to_string());
        let mail = self
            .mail
            .as_mut()
            .ok_or(StoreError::Missing("the transaction"))?;
        let purpose = if self.account.is_some() {
            let message_id = format!("{}@{}", random_word(), context.config.hostname);
            Purpose::Submit(Box::new(Submission::new(now(), message_id, random_word())))
        } else {
            let inbound = Inbound {
                client_ip: client,
                helo: helo.unwrap_or_default(),
                mail_from: mail.sender.clone(),
                authserv_id: context.config.hostname.clone(),
                now: now(),
            };
            let sealer = forwarding::sealer(&context, &mail.recipients, &mail.routes, inbound.now);
            let message = MessageAuth::new(inbound, &context.judging);
            let judge = Judge::new(Arc::clone(&context.resolver), message);
            Purpose::Judge(Box::new(judge), sealer.map(Box::new))
        };
        mail.intake = Some(Intake::new(spool, purpose));
        Ok(())
    }

    /// The message is whole: judges it, or signs it, and makes it durable. What it returns is the answer.
    async fn deliver(&mut self) -> Reply {
        let Some(mut mail) = self.mail.take() else {
            return deliver::fault(&StoreError::Missing("the transaction"));
        };
        let Some(intake) = mail.intake.take() else {
            return deliver::fault(&StoreError::Missing("the message"));
        };
        let (spool, purpose) = match intake.finish(&self.context) {
            Ok(taken) => taken,
            Err(Refused::Store(error)) => return deliver::fault(&error),
            Err(refused @ Refused::Loop(_)) => {
                return deliver::reply(554, EnhancedStatus::ROUTING_LOOP, &refused.to_string());
            }
            Err(refused) => {
                return deliver::reply(554, EnhancedStatus::MEDIA, &refused.to_string());
            }
        };
        if let (Purpose::Submit(submission), Some(submitter)) = (&purpose, &self.account) {
            let authors = submission.authors.clone();
            if let Err(refused) = identities::check(&self.context, submitter, authors).await {
                tracing::info!(user = ?submitter.name, refused = ?refused.to_string(), "smtp: not this user's");
                return deliver::not_yours(&refused);
            }
        }
        let correspondence = self.correspondence(&mail, &purpose);
        let session = self.driver.session();
        let received = deliver::Trace {
            hello: session.hello().cloned(),
            tls: session.tls().is_some(),
            auth: session.login().is_some(),
            client: self.client(),
            screened: self.visit.as_ref().and_then(Visit::screened).cloned(),
        };
        let reply = deliver::deliver(
            &self.context,
            received,
            &mail.sender,
            mail.smtputf8,
            &mail.recipients,
            &mail.routes,
            &mail.wishes,
            spool,
            purpose,
        )
        .await;
        if let Some((ours, theirs)) = correspondence.filter(|_| reply.is_positive()) {
            let screen = &self.context.screen;
            screen.user_wrote(&self.context, ours, theirs).await;
        }
        reply
    }

    /// Of a user's message: from which addresses it is, and to which elsewhere. One with a null sender is written by a program.
    fn correspondence(
        &self,
        mail: &Mail,
        purpose: &Purpose,
    ) -> Option<(BTreeSet<String>, Vec<String>)> {
        let (Purpose::Submit(submission), ReversePath::Mailbox(sender)) = (purpose, &mail.sender)
        else {
            return None;
        };
        let authors = submission.authors.iter().flat_map(Authors::from);
        let ours = authors.map(str::to_owned).chain([sender.to_string()]);
        let elsewhere = mail
            .recipients
            .iter()
            .filter_map(|recipient| match recipient {
                ForwardPath::Mailbox(mailbox) => Some(mailbox.to_string()),
                ForwardPath::Postmaster => None,
            });
        let elsewhere = elsewhere.filter(|address| {
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
            !self.context.config.is_local(domain)
        });
        Some((ours.collect(), elsewhere.collect()))
    }
}
