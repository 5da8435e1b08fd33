//! What an evaluation has asked: each question once, in its order, with the answer when it comes.

use crate::{Answer, Question};

/// The questions of one evaluation and their answers; what an [`Evaluation`](crate::Evaluation) is made of.
///
/// They are looked up one after another: made for the tens of questions that an evaluation is bounded to, not for a cache.
///
/// ```
/// use mail_dns::{Answer, Question, Questions, RecordType};
///
/// let question = Question::new("example.com".parse()?, RecordType::Txt);
/// let mut questions = Questions::default();
/// assert!(questions.ask(&question).is_none());
/// assert_eq!(questions.next(), Some(question.clone()));
/// assert_eq!(questions.next(), None);
/// assert!(questions.answer(&question, &Answer::no_data()));
/// assert_eq!(questions.ask(&question), Some(&Answer::no_data()));
/// # Ok::<(), mail_dns::NameError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Questions {
    entries: Vec<(Question, State)>,
    /// How many of them were handed out; the others stand behind them.
    handed_out: usize,
}

#[derive(Clone, Debug)]
enum State {
    Open,
    Answered(Answer),
}

impl Questions {
    /// The answer to a question; where it was not asked before, it is asked now.
    pub fn ask(&mut self, question: &Question) -> Option<&Answer> {
        let known = self.position(question);
        match known {
            Some(at) => match self.entries.get(at) {
                Some((_, State::Answered(answer))) => Some(answer),
                _ => None,
            },
            None => {
                self.entries.push((question.clone(), State::Open));
                None
            }
        }
    }

    /// The answer to a question, if there is one.
    pub fn answered(&self, question: &Question) -> Option<&Answer> {
        match self.entries.get(self.position(question)?) {
            Some((_, State::Answered(answer))) => Some(answer),
            _ => None,
        }
    }

    /// The next question that nobody has carried away yet.
    #[expect(
        clippy::should_implement_trait,
        reason = "it goes on after it said none, when more is asked"
    )]
    pub fn next(&mut self) -> Option<Question> {
        let (question, _) = self.entries.get(self.handed_out)?;
        self.handed_out += 1;
        Some(question.clone())
    }

    /// Takes an answer; whether it was waited for. A second answer, and one to a question that was not handed out, change nothing.
    pub fn answer(&mut self, question: &Question, answer: &Answer) -> bool {
        let Some(at) = self.position(question).filter(|&at| at < self.handed_out) else {
            return false;
        };
        match self.entries.get_mut(at) {
            Some((_, state @ State::Open)) => {
                *state = State::Answered(answer.clone());
                true
            }
            _ => false,
        }
    }

    /// Takes back what was not handed out.
    pub fn forget_unasked(&mut self) {
        self.entries.truncate(self.handed_out);
    }

    /// The last are looked at first: what is asked for is most often what was asked last.
    fn position(&self, question: &Question) -> Option<usize> {
        self.entries
            .iter()
            .rposition(|(asked, _)| asked == question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecordType;

    fn question(name: &str) -> Question {
        Question::new(name.parse().unwrap(), RecordType::A)
    }

    #[test]
    fn each_question_once_and_its_first_answer() {
        let mut questions = Questions::default();
        let (a, b, c) = (question("a"), question("b"), question("c"));
        for asked in [&a, &b, &a] {
            assert_eq!(questions.ask(asked), None);
        }
        // Nobody has carried it away, so nobody can have asked it.
        assert!(!questions.answer(&a, &Answer::no_data()));
        assert_eq!(questions.next(), Some(question("A")));
        assert!(questions.answer(&question("A"), &Answer::no_data()));
        assert!(!questions.answer(&a, &Answer::nx_domain()));
        assert_eq!(questions.ask(&a), Some(&Answer::no_data()));
        assert_eq!(questions.answered(&b), None);
        questions.forget_unasked();
        assert_eq!(questions.next(), None);
        assert_eq!(questions.ask(&c), None);
        assert_eq!(questions.next(), Some(c));
        assert_eq!(questions.answered(&a), Some(&Answer::no_data()));
    }
}
