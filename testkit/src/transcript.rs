//! Plays the examples of the RFCs, lines that begin with `C:` and `S:`, against a session.
//!
//! ```text
//! S: 220 mx.example *
//! C: EHLO client.example
//! S: 250-*
//! S: 250 STARTTLS
//! C: STARTTLS
//! S: 220 *
//! <TLS>
//! C: QUIT
//! S: 221 *
//! <close>
//! ```
//!
//! - Lines of one side that follow each other are sent in one piece; what the session says to them must be exactly the lines of
//!   the other side that come next.
//! - In a line that is expected, `*` at its end stands for any rest, and `{*}` for anything between.
//! - `<TLS>` and `<DEFLATE>`: the session asks for this layer here, and is told that it stands. `<end>`: the peer's input ends.
//!   `<close>`: the session is over.
//! - A line that begins with a space goes on from the line before. Empty lines and those that begin with `#` say nothing.

use core::fmt::Write as _;

use mail_wire::{End, Layer, Session, Step, Time, Upgraded};

/// Plays a transcript against a server: `C:` is sent to it, `S:` expected of it.
///
/// # Panics
///
/// Where it says something else; the message shows both.
pub fn against_server<S: Session>(
    server: S,
    transcript: &str,
    application: impl FnMut(&mut S, S::Event),
) -> S {
    play(server, transcript, 'C', application)
}

/// Plays a transcript against a client: `S:` is sent to it, `C:` expected of it.
///
/// # Panics
///
/// Where it says something else; the message shows both.
pub fn against_client<S: Session>(
    client: S,
    transcript: &str,
    application: impl FnMut(&mut S, S::Event),
) -> S {
    play(client, transcript, 'S', application)
}

/// Whether a line matches: `*` at the end stands for any rest, `{*}` for anything between.
#[must_use]
pub fn matches(pattern: &str, line: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(front) => (front, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split("{*}");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return open || rest.is_empty();
    };
    for part in middle {
        let Some((_, tail)) = rest.split_once(part) else {
            return false;
        };
        rest = tail;
    }
    if open {
        rest.contains(last)
    } else {
        rest.ends_with(last)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Sent(String),
    Expected(String),
    Layer(Layer),
    End,
    Close,
}

fn read(transcript: &str, sender: char) -> Vec<(usize, Line)> {
    let mut lines: Vec<(usize, Line)> = Vec::new();
    for (index, text) in transcript.lines().enumerate() {
        let number = index + 1;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        if text.starts_with(' ') {
            let Some((_, Line::Sent(line) | Line::Expected(line))) = lines.last_mut() else {
                panic!("line {number} of the transcript goes on from nothing: {text:?}");
            };
            line.push(' ');
            line.push_str(text.trim_start());
            continue;
        }
        let line = match text.trim_end() {
            "<TLS>" => Line::Layer(Layer::Tls),
            "<DEFLATE>" => Line::Layer(Layer::Deflate),
            "<end>" => Line::End,
            "<close>" => Line::Close,
            _ => match text.split_once(':') {
                Some((side @ ("C" | "S"), line)) => {
                    let line = line.strip_prefix(' ').unwrap_or(line).to_owned();
                    if side.starts_with(sender) {
                        Line::Sent(line)
                    } else {
                        Line::Expected(line)
                    }
                }
                _ => panic!("line {number} of the transcript says nothing known: {text:?}"),
            },
        };
        lines.push((number, line));
    }
    lines
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waits,
    Upgrade(Layer),
    Closed,
    Failed(String),
}

fn play<S: Session>(
    mut session: S,
    transcript: &str,
    sender: char,
    mut application: impl FnMut(&mut S, S::Event),
) -> S {
    let lines = read(transcript, sender);
    let (mut lines, mut state) = (lines.into_iter().peekable(), State::Waits);
    let mut said = String::new();
    while lines.peek().is_some() {
        while let Some((_, Line::Sent(line))) =
            lines.next_if(|(_, line)| matches!(line, Line::Sent(_)))
        {
            session.input().extend_from_slice(line.as_bytes());
            session.input().extend_from_slice(b"\r\n");
        }
        settle(&mut session, &mut state, &mut said, &mut application);
        let (mut expected, mut at) = (Vec::new(), 0);
        while let Some((number, Line::Expected(line))) =
            lines.next_if(|(_, line)| matches!(line, Line::Expected(_)))
        {
            expected.push(line);
            at = number;
        }
        compare(&expected, &core::mem::take(&mut said), at, &state);
        match lines.next_if(|(_, line)| !matches!(line, Line::Sent(_) | Line::Expected(_))) {
            Some((number, Line::Layer(layer))) => {
                assert!(
                    state == State::Upgrade(layer),
                    "line {number}: {layer:?} is to begin here, but the session is {state:?}"
                );
                state = State::Waits;
                session.upgraded(match layer {
                    Layer::Tls => Upgraded::Tls(Box::default()),
                    Layer::Deflate => Upgraded::Deflate,
                });
            }
            Some((_, Line::End)) => session.end_of_input(End::Clean),
            Some((number, Line::Close)) => assert!(
                state == State::Closed,
                "line {number}: the session is to be over here, but is {state:?}"
            ),
            _ => {}
        }
    }
    settle(&mut session, &mut state, &mut said, &mut application);
    compare(&[], &said, transcript.lines().count(), &state);
    session
}

fn settle<S: Session>(
    session: &mut S,
    state: &mut State,
    said: &mut String,
    application: &mut impl FnMut(&mut S, S::Event),
) {
    while *state == State::Waits {
        let step = session.poll(Time::START);
        if let Ok(Step::Event(event)) = step {
            application(session, event);
            continue;
        }
        let sent = session.output().split();
        said.push_str(&String::from_utf8_lossy(&sent));
        match step {
            Err(error) => *state = State::Failed(format!("{error:?}")),
            Ok(Step::Closed) => *state = State::Closed,
            Ok(Step::Upgrade(layer)) => *state = State::Upgrade(layer),
            Ok(_) if !sent.is_empty() => {}
            Ok(_) => return,
        }
    }
}

fn compare(expected: &[String], said: &str, at: usize, state: &State) {
    let lines: Vec<&str> = said.split_terminator('\n').collect();
    let same = |index: usize| match (expected.get(index), lines.get(index)) {
        (Some(pattern), Some(line)) => line
            .strip_suffix('\r')
            .is_some_and(|line| matches(pattern, line)),
        _ => false,
    };
    let count = expected.len().max(lines.len());
    if (0..count).all(same) && (said.is_empty() || said.ends_with('\n')) {
        return;
    }
    let mut shown = String::new();
    for index in 0..count {
        let (want, got) = (expected.get(index), lines.get(index));
        if same(index) {
            let _ = writeln!(shown, "   {}", want.map_or("", String::as_str));
            continue;
        }
        if let Some(want) = want {
            let _ = writeln!(shown, " - {want}");
        }
        if let Some(got) = got {
            let _ = writeln!(shown, " + {}", got.escape_debug());
        }
    }
    panic!(
        "before or at line {at} of the transcript: expected (-), said (+)\n{shown}the session is {state:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, line, want) in [
            ("250 ok", "250 ok", true),
            ("250 ok", "250 okay", false),
            ("250-*", "250-anything", true),
            ("250-*", "250 anything", false),
            ("* OK *", "* OK ready", true),
            ("* OK", "* OK ready", false),
            ("{*}1 NOOP", "A1 NOOP", true),
            ("{*}1 NOOP", "A1 NOOPS", false),
            ("a{*}b{*}c", "a1b2c", true),
            ("a{*}b{*}c", "a1c2b", false),
            ("a{*}b*", "aXbY", true),
        ] {
            assert_eq!(matches(pattern, line), want, "{pattern} {line}");
        }
    }
}
