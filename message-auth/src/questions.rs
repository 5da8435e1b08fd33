//! The questions of all checks of one message: each asked once, and never more than the lid.

use std::collections::HashMap;

use mail_dns::{Answer, Evaluation, Failure, Need, Question};

/// What is checked, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Dmarc,
    Dkim,
    MailFrom,
    Arc,
    Iprev,
    Helo,
}

/// How many [`Check`]s there are.
const CHECKS: usize = 6;

impl Check {
    const ALL: [Self; CHECKS] = [
        Self::Dmarc,
        Self::Dkim,
        Self::MailFrom,
        Self::Arc,
        Self::Iprev,
        Self::Helo,
    ];

    /// Whether the verdict of DMARC hangs on it.
    fn is_essential(self) -> bool {
        !matches!(self, Self::Arc | Self::Iprev | Self::Helo)
    }
}

/// A question and its answer.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What was asked.
    pub question: Question,
    /// What came.
    pub answer: Answer,
    /// How many questions had been asked by then.
    pub asked: usize,
}

/// What was asked, by whom, and what came of it.
///
/// The HELO name, the address and the chain are the client's to choose, so their checks get what the essential ones leave: a client must not be able
/// to use up the questions that would convict it. They wait until it is known what is left.
#[derive(Clone, Debug)]
pub(crate) struct Questions {
    limit: usize,
    slots: HashMap<Question, Slot>,
    order: Vec<Question>,
    answers: Vec<Answered>,
    shares: [Share; CHECKS],
}

#[derive(Clone, Debug)]
enum Slot {
    /// Of each check whether it waits for the answer, in the order of [`Check::ALL`].
    Open([bool; CHECKS]),
    Answered(Answer),
}

/// The questions that a check may still ask.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    left: usize,
    done: bool,
}

/// What becomes of a question that a check has.
enum Route {
    Ask,
    /// Another check has asked it.
    Open,
    Known(Answer),
    Later,
    Refused,
}

impl Questions {
    /// No questions yet; `bounds` are the most that the essential checks ask.
    pub(crate) fn new(limit: usize, bounds: impl Fn(Check) -> usize) -> Self {
        Self {
            limit,
            slots: HashMap::new(),
            order: Vec::new(),
            answers: Vec::new(),
            shares: Check::ALL.map(|check| Share {
                left: if check.is_essential() {
                    bounds(check)
                } else {
                    0
                },
                done: false,
            }),
        }
    }

    /// All questions in the order in which they were asked.
    pub(crate) fn order(&self) -> &[Question] {
        &self.order
    }

    /// The answers in the order in which they came.
    pub(crate) fn answers(&self) -> &[Answered] {
        &self.answers
    }

    /// Takes an answer; gives the checks that wait for it.
    pub(crate) fn answer(
        &mut self,
        question: &Question,
        answer: &Answer,
    ) -> impl Iterator<Item = Check> + use<> {
        let mut waits = [false; CHECKS];
        if let Some(slot) = self.slots.get_mut(question)
            && let Slot::Open(waiting) = *slot
        {
            waits = waiting;
            *slot = Slot::Answered(answer.clone());
            self.answers.push(Answered {
                question: question.clone(),
                answer: answer.clone(),
                asked: self.order.len(),
            });
        }
        let checks = Check::ALL.into_iter().zip(waits);
        checks.filter_map(|(check, waits)| waits.then_some(check))
    }

    fn share(&mut self, check: Check) -> &mut Share {
        // Within the array: there are CHECKS variants, numbered from 0.
        &mut self.shares[check as usize]
    }

    /// Whether a question may be asked that no check has asked yet; it is then open.
    pub(crate) fn may_ask(&mut self, check: Check, question: &Question) -> bool {
        matches!(self.route(check, question), Route::Ask)
    }

    fn route(&mut self, check: Check, question: &Question) -> Route {
        match self.slots.get_mut(question) {
            Some(Slot::Answered(answer)) => return Route::Known(answer.clone()),
            Some(Slot::Open(waiting)) => {
                waiting[check as usize] = true;
                return Route::Open;
            }
            None => {}
        }
        let before = Check::ALL
            .iter()
            .zip(&self.shares)
            .take_while(|(of, _)| **of != check);
        let pending = before.filter(|(_, share)| !share.done);
        let (reserved, waits) = pending.fold((0, false), |(left, _), (_, share)| {
            (left + share.left, true)
        });
        if self.order.len() + reserved < self.limit {
            let waiting = Check::ALL.map(|one| one == check);
            self.slots.insert(question.clone(), Slot::Open(waiting));
            self.order.push(question.clone());
            let share = self.share(check);
            share.left = share.left.saturating_sub(1);
            Route::Ask
        } else if waits && !check.is_essential() {
            Route::Later
        } else {
            Route::Refused
        }
    }
}

/// One check, until it is done.
#[derive(Clone, Debug)]
pub(crate) enum Run<E: Evaluation> {
    /// It is under way, and may hold a question back.
    Open(E, Option<Question>),
    Done(E::Verdict),
}

impl<E: Evaluation> Run<E> {
    pub(crate) fn new(evaluation: E) -> Self {
        Self::Open(evaluation, None)
    }

    /// The verdict, once there is one.
    pub(crate) fn verdict(&self) -> Option<&E::Verdict> {
        match self {
            Self::Done(verdict) => Some(verdict),
            Self::Open(..) => None,
        }
    }

    pub(crate) fn evaluation(&mut self) -> Option<&mut E> {
        match self {
            Self::Open(evaluation, _) => Some(evaluation),
            Self::Done(_) => None,
        }
    }

    pub(crate) fn answer(&mut self, question: &Question, answer: &Answer) {
        if let Some(evaluation) = self.evaluation() {
            evaluation.answer(question, answer);
        }
    }

    /// Goes on as far as it can; gives a question that nobody has asked.
    pub(crate) fn advance(&mut self, check: Check, questions: &mut Questions) -> Option<Question> {
        while let Self::Open(evaluation, held) = self {
            let question = match held.take() {
                Some(question) => question,
                None => match evaluation.poll() {
                    Need::Lookup(question) => question,
                    Need::Wait => return None,
                    Need::Done(verdict) => {
                        questions.share(check).done = true;
                        *self = Self::Done(verdict);
                        return None;
                    }
                },
            };
            match questions.route(check, &question) {
                Route::Ask => return Some(question),
                Route::Open => {}
                Route::Known(answer) => evaluation.answer(&question, &answer),
                Route::Refused => evaluation.answer(&question, &Answer::failed(Failure::Refused)),
                Route::Later => {
                    *held = Some(question);
                    return None;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::RecordType;

    use super::*;

    /// Asks for the TXT records of these names, then counts the failures.
    #[derive(Debug)]
    struct Ask {
        wanted: Vec<Question>,
        answered: usize,
        failed: usize,
        next: usize,
    }

    impl Ask {
        fn run(label: &str, count: usize) -> Run<Self> {
            let question = |number| {
                let name = format!("{label}{number}.example")
                    .parse()
                    .unwrap_or_else(|_| mail_dns::Name::root());
                Question::new(name, RecordType::Txt)
            };
            Run::new(Self {
                wanted: (0..count).map(question).collect(),
                answered: 0,
                failed: 0,
                next: 0,
            })
        }
    }

    impl Evaluation for Ask {
        type Verdict = usize;

        fn poll(&mut self) -> Need<usize> {
            if self.answered == self.wanted.len() {
                return Need::Done(self.failed);
            }
            let question = self.wanted.get(self.next).cloned();
            self.next += 1;
            question.map_or(Need::Wait, Need::Lookup)
        }

        fn answer(&mut self, _: &Question, answer: &Answer) {
            self.answered += 1;
            self.failed += usize::from(answer.outcome().is_err());
        }
    }

    fn asked(run: &mut Run<Ask>, check: Check, questions: &mut Questions) -> Vec<Question> {
        core::iter::from_fn(|| run.advance(check, questions)).collect()
    }

    #[test]
    fn what_the_client_chooses_waits_for_what_is_left() {
        let mut questions = Questions::new(10, |_| 2);
        let (mut mail_from, mut helo) = (Ask::run("m", 1), Ask::run("h", 9));
        assert_eq!(
            asked(&mut mail_from, Check::MailFrom, &mut questions).len(),
            1
        );
        // Ten, less the one asked and the five that the essential checks may still ask.
        assert_eq!(asked(&mut helo, Check::Helo, &mut questions).len(), 4);
        assert_eq!(asked(&mut helo, Check::Helo, &mut questions).len(), 0);
        for check in Check::ALL {
            questions.share(check).done |= check != Check::Helo;
        }
        assert_eq!(asked(&mut helo, Check::Helo, &mut questions).len(), 5);
        for question in questions.order().to_vec() {
            for check in questions.answer(&question, &Answer::no_data()) {
                assert_eq!(
                    check == Check::Helo,
                    question.name.to_string().starts_with('h')
                );
                helo.answer(&question, &Answer::no_data());
            }
        }
        assert_eq!(questions.order().len(), 10);
    }

    #[test]
    fn a_question_of_two_checks_is_asked_once() {
        let mut questions = Questions::new(100, |_| 2);
        let (mut one, mut other, mut third) =
            (Ask::run("q", 2), Ask::run("q", 2), Ask::run("q", 2));
        let first = asked(&mut one, Check::MailFrom, &mut questions);
        assert_eq!(first.len(), 2);
        assert_eq!(asked(&mut other, Check::Helo, &mut questions), []);
        for question in &first {
            let waiting = questions.answer(question, &Answer::no_data());
            assert!(waiting.eq([Check::MailFrom, Check::Helo]));
            assert!(questions.answer(question, &Answer::no_data()).eq([]));
        }
        // Who comes later has the answer at once.
        assert_eq!(asked(&mut third, Check::Iprev, &mut questions), []);
        assert_eq!(third.verdict(), Some(&0));
    }

    #[test]
    fn beyond_the_lid_a_question_fails() {
        let mut questions = Questions::new(3, |_| 0);
        let mut many = Ask::run("q", 8);
        assert_eq!(asked(&mut many, Check::MailFrom, &mut questions).len(), 3);
        for question in questions.order().to_vec() {
            let _ = questions.answer(&question, &Answer::no_data());
            many.answer(&question, &Answer::no_data());
        }
        assert_eq!(asked(&mut many, Check::MailFrom, &mut questions), []);
        assert_eq!(many.verdict(), Some(&5));
    }
}
