//! The contract, and the simplest driver.

use crate::{Answer, Question};

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

/// Runs an evaluation to its end, one question after the other.
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

#[expect(
    clippy::panic,
    reason = "a mistake of the program, not of any input, and the other way out is to hang"
)]
pub(crate) fn stalled() -> ! {
    panic!("the evaluation waits for something that is not DNS")
}
