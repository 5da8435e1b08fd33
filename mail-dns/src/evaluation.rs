//! The contract, and the simplest driver.

use crate::{Answer, Failure, Question};

/// Something that needs several lookups to settle. It knows no resolver and no clock.
///
/// Poll until it says [`Need::Wait`] or [`Need::Done`]; ask what it would [`Need::Lookup`], as many at once as you like, and bring each
/// answer when it comes. An evaluation asks each question once: equal questions have equal answers, so what a cache answers changes
/// no verdict and no limit.
pub trait Evaluation {
    /// What it comes to.
    type Verdict;

    /// What it needs next. After [`Need::Done`] the answer to further polls is that of the implementation; drivers do not poll again.
    fn poll(&mut self) -> Need<Self::Verdict>;

    /// Brings an answer, in any order. One that nobody asked for, or a second one, is ignored.
    fn answer(&mut self, question: &Question, answer: &Answer);
}

/// What an [`Evaluation`] needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Need<V> {
    /// The answer to this question, which was not asked before.
    Lookup(Question),
    /// One of the answers that are open, or something that is not DNS.
    Wait,
    /// Nothing any more.
    Done(V),
}

impl<E: Evaluation + ?Sized> Evaluation for &mut E {
    type Verdict = E::Verdict;

    fn poll(&mut self) -> Need<E::Verdict> {
        (**self).poll()
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        (**self).answer(question, answer);
    }
}

impl<E: Evaluation + ?Sized> Evaluation for Box<E> {
    type Verdict = E::Verdict;

    fn poll(&mut self) -> Need<E::Verdict> {
        (**self).poll()
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        (**self).answer(question, answer);
    }
}

/// Runs an evaluation to its end, one question after the other, and as long as that takes: [`resolve_blocking_until`] bounds the time.
///
/// # Panics
///
/// When the evaluation waits though every question is answered: it needs something that is not DNS (a message body), and waiting here
/// would be forever. Bring it that first.
pub fn resolve_blocking<E: Evaluation>(
    mut evaluation: E,
    mut ask: impl FnMut(&Question) -> Answer,
) -> E::Verdict {
    loop {
        match evaluation.poll() {
            Need::Lookup(question) => {
                let answer = ask(&question);
                evaluation.answer(&question, &answer);
            }
            Need::Wait => stalled(),
            Need::Done(verdict) => return verdict,
        }
    }
}

/// As [`resolve_blocking`], until the time is up: `is_up` is asked before each question, and from then on all are answered with
/// [`Failure::Timeout`], so there is always a verdict. How long one question takes is for `ask` to bound.
///
/// ```
/// use std::time::Instant;
/// # use mail_dns::{Answer, Evaluation, Limits, Name, Need, Question, RecordType, Zone, resolve_blocking_until};
/// # struct Asks(bool);
/// # impl Evaluation for Asks {
/// #     type Verdict = ();
/// #     fn poll(&mut self) -> Need<()> {
/// #         if std::mem::replace(&mut self.0, true) { return Need::Done(()); }
/// #         Need::Lookup(Question::new("example.com".parse::<Name>().unwrap(), RecordType::A))
/// #     }
/// #     fn answer(&mut self, _: &Question, _: &Answer) {}
/// # }
/// # let (evaluation, zone) = (Asks(false), Zone::new());
/// let end = Instant::now() + Limits::default().time;
/// let verdict = resolve_blocking_until(evaluation, |question| zone.answer(question), || Instant::now() >= end);
/// ```
///
/// # Panics
///
/// As [`resolve_blocking`].
pub fn resolve_blocking_until<E: Evaluation>(
    evaluation: E,
    mut ask: impl FnMut(&Question) -> Answer,
    mut is_up: impl FnMut() -> bool,
) -> E::Verdict {
    let mut up = false;
    resolve_blocking(evaluation, |question| {
        up = up || is_up();
        if up {
            Answer::failed(Failure::Timeout)
        } else {
            ask(question)
        }
    })
}

#[expect(
    clippy::panic,
    reason = "a mistake of the program, not of any input, and the other way out is to hang"
)]
pub(crate) fn stalled() -> ! {
    panic!("the evaluation waits for something that is not DNS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Data, Name, RecordType};

    /// Asks ten questions, and counts those that failed.
    #[derive(Default)]
    struct Ten {
        asked: u8,
        failures: u8,
    }

    impl Evaluation for Ten {
        type Verdict = u8;

        fn poll(&mut self) -> Need<u8> {
            if self.asked == 10 {
                return Need::Done(self.failures);
            }
            self.asked += 1;
            let name: Name = format!("n{}.example", self.asked).parse().unwrap();
            Need::Lookup(Question::new(name, RecordType::A))
        }

        fn answer(&mut self, _: &Question, answer: &Answer) {
            self.failures += u8::from(matches!(answer.data, Data::Failed(Failure::Timeout)));
        }
    }

    #[test]
    fn when_the_time_is_up_nothing_more_is_asked() {
        for end in 0..12u8 {
            let (mut clock, mut asked) = (0, 0);
            let ask = |_: &Question| {
                asked += 1;
                Answer::no_data()
            };
            // A clock that goes back changes nothing.
            let is_up = || {
                clock += 1;
                clock == end + 1
            };
            let failures = resolve_blocking_until(Ten::default(), ask, is_up);
            assert_eq!((asked, failures), (end.min(10), 10 - end.min(10)));
        }
    }
}
