//! Asynchronous drivers on nothing but the standard library's futures: they run under any runtime.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use crate::evaluation::stalled;
#[cfg(doc)]
use crate::resolve_blocking_until;
use crate::{Answer, Evaluation, Failure, Need, Question, resolve_blocking};

/// What a driver may do at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Lookups open at the same time; 0 counts as 1. Default 16: all DKIM selectors of a message (10) fit, and one message cannot fill a
    /// resolver's table. More costs a future each.
    pub questions_in_flight: usize,
    /// How long an evaluation may take in all. Default: 20 s. Nothing here has a clock: it is for the driver's timer, as in
    /// `resolve(check, ask, sleep(limits.time))`, or for the clock of [`resolve_blocking_until`]; a driver that uses [`Lookups`] calls
    /// [`Lookups::fail`] then. More keeps a client waiting (5 min for MAIL FROM, 10 min behind the end of a message: RFC 5321 §4.5.3.2)
    /// and what it holds allocated.
    // RFC 7208 §4.6.4: "MTAs or other processors SHOULD impose a limit on the maximum amount of elapsed time to evaluate check_host(). Such a
    // limit SHOULD allow at least 20 seconds."
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            questions_in_flight: 16,
            time: Duration::from_secs(20),
        }
    }
}

/// The lookups that are open for one [`Evaluation`].
///
/// It holds the futures, so that [`Lookups::drive`] may be dropped at any time and called again: nothing is lost or asked twice.
pub struct Lookups<F> {
    limits: Limits,
    open: Vec<(Question, Pin<Box<F>>)>,
}

/// How far [`Lookups::drive`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress<V> {
    /// The evaluation is done; lookups that were still open are dropped.
    Done(V),
    /// No lookup is open, and the evaluation waits for something that is not DNS, such as a message body. Bring it that, then drive on.
    Idle,
}

impl<F: Future<Output = Answer>> Lookups<F> {
    /// No lookup is open.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
        }
    }

    /// How many lookups are open.
    pub fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// Asks and answers until the evaluation is done or waits for something that is not DNS.
    ///
    /// Cancel-safe: dropping the returned future loses nothing.
    pub async fn drive<E: Evaluation>(
        &mut self,
        evaluation: &mut E,
        ask: &mut impl FnMut(Question) -> F,
    ) -> Progress<E::Verdict> {
        poll_fn(|context| self.poll_drive(context, evaluation, ask)).await
    }

    fn poll_drive<E: Evaluation>(
        &mut self,
        context: &mut Context<'_>,
        evaluation: &mut E,
        ask: &mut impl FnMut(Question) -> F,
    ) -> Poll<Progress<E::Verdict>> {
        loop {
            while self.open.len() < self.limits.questions_in_flight.max(1) {
                match evaluation.poll() {
                    Need::Lookup(question) => {
                        let future = Box::pin(ask(question.clone()));
                        self.open.push((question, future));
                    }
                    Need::Wait => break,
                    Need::Done(verdict) => {
                        self.open.clear();
                        return Poll::Ready(Progress::Done(verdict));
                    }
                }
            }
            if self.open.is_empty() {
                return Poll::Ready(Progress::Idle);
            }
            let before = self.open.len();
            self.open
                .retain_mut(|(question, future)| match future.as_mut().poll(context) {
                    Poll::Ready(answer) => {
                        evaluation.answer(question, &answer);
                        false
                    }
                    Poll::Pending => true,
                });
            if self.open.len() == before {
                return Poll::Pending;
            }
        }
    }

    /// Answers all open lookups with this failure and drops them. The evaluation may ask more afterwards.
    pub fn fail<E: Evaluation>(&mut self, evaluation: &mut E, failure: Failure) {
        let answer = Answer::failed(failure);
        for (question, _) in self.open.drain(..) {
            evaluation.answer(&question, &answer);
        }
    }
}

impl<F> fmt::Debug for Lookups<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open: Vec<_> = self.open.iter().map(|(question, _)| question).collect();
        f.debug_struct("Lookups")
            .field("limits", &self.limits)
            .field("open", &open)
            .finish()
    }
}

/// Runs an evaluation to its end, as many questions at once as it has, under the default [`Limits`].
///
/// When `limit` (a timer of the runtime, over [`Limits::time`] say) completes first, every question still open and every further one is answered with
/// [`Failure::Timeout`], so there is always a verdict.
///
/// # Panics
///
/// As [`resolve_blocking`]: when the evaluation waits though every question is answered.
pub async fn resolve<E: Evaluation, F: Future<Output = Answer>>(
    mut evaluation: E,
    ask: impl Fn(Question) -> F,
    limit: impl Future,
) -> E::Verdict {
    let mut lookups = Lookups::new(Limits::default());
    let mut ask = |question| ask(question);
    let progress = {
        let mut drive = pin!(lookups.drive(&mut evaluation, &mut ask));
        let mut limit = pin!(limit);
        poll_fn(|context| match drive.as_mut().poll(context) {
            Poll::Ready(progress) => Poll::Ready(Some(progress)),
            Poll::Pending => limit.as_mut().poll(context).map(|_| None),
        })
        .await
    };
    match progress {
        Some(Progress::Done(verdict)) => verdict,
        Some(Progress::Idle) => stalled(),
        None => {
            lookups.fail(&mut evaluation, Failure::Timeout);
            resolve_blocking(evaluation, |_| Answer::failed(Failure::Timeout))
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};
    use core::task::Waker;
    use std::collections::BTreeSet;
    use std::rc::Rc;

    use super::*;
    use crate::{Data, Name, RecordType};

    /// Asks `width` questions at once and is done when all are answered; then wants a body.
    struct Wide {
        asked: usize,
        width: usize,
        answers: BTreeSet<Question>,
        failures: usize,
        body: bool,
    }

    impl Wide {
        fn new(width: usize) -> Self {
            Self {
                asked: 0,
                width,
                answers: BTreeSet::new(),
                failures: 0,
                body: true,
            }
        }
    }

    impl Evaluation for Wide {
        type Verdict = usize;

        fn poll(&mut self) -> Need<usize> {
            if self.asked < self.width {
                self.asked += 1;
                return Need::Lookup(Question::new(
                    format!("n{}", self.asked).parse::<Name>().unwrap(),
                    RecordType::A,
                ));
            }
            if self.answers.len() == self.width && self.body {
                Need::Done(self.failures)
            } else {
                Need::Wait
            }
        }

        fn answer(&mut self, question: &Question, answer: &Answer) {
            self.failures += usize::from(matches!(answer.data, Data::Failed(Failure::Timeout)));
            self.answers.insert(question.clone());
        }
    }

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    type Gate = Rc<Cell<bool>>;

    /// A lookup that answers when its gate is open.
    async fn gated(gate: Gate) -> Answer {
        poll_fn(|_| {
            if gate.get() {
                Poll::Ready(Answer::no_data())
            } else {
                Poll::Pending
            }
        })
        .await
    }

    #[test]
    fn keeps_the_limit_and_survives_being_dropped() {
        let gates: RefCell<Vec<Gate>> = RefCell::default();
        let mut ask = |_| {
            let gate = Gate::default();
            gates.borrow_mut().push(Rc::clone(&gate));
            gated(gate)
        };
        let mut lookups = Lookups::new(Limits {
            questions_in_flight: 3,
            ..Limits::default()
        });
        let mut evaluation = Wide::new(7);
        for open in 0..7 {
            // A new future each time: the one before was dropped while lookups were open.
            assert!(poll_once(pin!(lookups.drive(&mut evaluation, &mut ask))).is_pending());
            assert_eq!(lookups.in_flight(), 3.min(7 - open));
            gates.borrow()[open].set(true);
        }
        assert_eq!(
            poll_once(pin!(lookups.drive(&mut evaluation, &mut ask))),
            Poll::Ready(Progress::Done(0))
        );
        assert_eq!(gates.borrow().len(), 7, "each question is asked once");
    }

    #[test]
    fn idle_when_it_waits_for_something_else() {
        let mut ask = |_| core::future::ready(Answer::no_data());
        let mut lookups = Lookups::new(Limits::default());
        let mut evaluation = Wide {
            body: false,
            ..Wide::new(2)
        };
        assert_eq!(
            poll_once(pin!(lookups.drive(&mut evaluation, &mut ask))),
            Poll::Ready(Progress::Idle)
        );
        evaluation.body = true;
        assert_eq!(
            poll_once(pin!(lookups.drive(&mut evaluation, &mut ask))),
            Poll::Ready(Progress::Done(0))
        );
    }

    #[test]
    fn the_limit_answers_what_is_open_and_what_follows() {
        let ask = |_| core::future::pending::<Answer>();
        let verdict = poll_once(pin!(resolve(Wide::new(40), ask, core::future::ready(()))));
        assert_eq!(verdict, Poll::Ready(40));
        let ask = |_| core::future::ready(Answer::no_data());
        let verdict = poll_once(pin!(resolve(Wide::new(40), ask, core::future::ready(()))));
        assert_eq!(
            verdict,
            Poll::Ready(0),
            "an answer that is there comes before the limit"
        );
    }
}
