//! The beginning: greeting, EHLO or LHLO, STARTTLS.

use super::{
    Error, Event, Expected, PeerError, Phase, Protocol, Session, TlsError, TlsPolicy, unexpected,
};
use crate::{Command, Extensions, Reply};

impl Session {
    pub(super) fn greeting_reply(&mut self, expected: Expected, reply: Reply) -> Result<(), Error> {
        if reply.code() != 220 {
            return Err(self.turned_away(expected, reply));
        }
        self.hello();
        Ok(())
    }

    pub(super) fn hello(&mut self) {
        let host = self.config.host.clone();
        let command = match self.config.protocol {
            Protocol::Smtp => Command::Ehlo(host),
            Protocol::Lmtp => Command::Lhlo(host),
        };
        self.command(&command, Expected::Ehlo);
    }

    pub(super) fn hello_reply(&mut self, expected: Expected, reply: Reply) -> Result<(), Error> {
        if reply.is_positive() {
            if expected == Expected::Ehlo {
                self.extensions = Extensions::of(&reply);
            }
            let wanted = matches!(
                self.config.tls,
                TlsPolicy::Require | TlsPolicy::Opportunistic
            );
            if self.tls.is_some() || !wanted {
                self.ready();
            } else if self.extensions.start_tls {
                self.command(&Command::StartTls, Expected::StartTls);
            } else if self.config.tls == TlsPolicy::Require {
                self.say_quit();
                return Err(TlsError::NotOffered.into());
            } else {
                self.ready();
            }
            return Ok(());
        }
        // RFC 5321 §3.2: "For a particular connection attempt, if the server returns a "command not recognized" response to EHLO,
        // the client SHOULD be able to fall back and send HELO." Old servers say so with various codes.
        // Where TLS is still to come it would not help: HELO has no STARTTLS.
        let helo_helps = self.tls.is_some() || self.config.tls != TlsPolicy::Require;
        if expected == Expected::Ehlo
            && reply.is_permanent()
            && self.config.protocol == Protocol::Smtp
            && helo_helps
        {
            let command = Command::Helo(self.config.host.clone());
            self.command(&command, Expected::Helo);
            return Ok(());
        }
        Err(self.turned_away(expected, reply))
    }

    pub(super) fn start_tls_reply(
        &mut self,
        expected: Expected,
        reply: Reply,
    ) -> Result<(), Error> {
        match reply.code() {
            220 => self.phase = Phase::Upgrading,
            _ if reply.is_positive() || reply.is_intermediate() => {
                return Err(unexpected(expected, reply));
            }
            _ if self.config.tls == TlsPolicy::Require => {
                self.say_quit();
                return Err(TlsError::Refused(reply).into());
            }
            _ => self.ready(),
        }
        Ok(())
    }

    fn ready(&mut self) {
        self.phase = Phase::Ready;
        self.events.push_back(Event::Ready(self.extensions.clone()));
    }

    /// A polite last word, whose answer is not waited for.
    fn say_quit(&mut self) {
        self.command(&Command::Quit, Expected::Quit);
    }

    fn turned_away(&mut self, expected: Expected, reply: Reply) -> Error {
        if reply.is_positive() || reply.is_intermediate() {
            return unexpected(expected, reply);
        }
        self.say_quit();
        PeerError::Refused(reply).into()
    }
}
