//! The tokens that all structured header fields share: white space, folds, comments, quoted strings (RFC 5322 §3.2).

/// How deep comments may nest: 16.
pub(crate) const MAX_COMMENT_DEPTH: usize = 16;

/// Why a token cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LexError {
    /// A comment that does not end.
    #[error("the comment that begins at byte {offset} does not end")]
    UnclosedComment {
        /// Where it begins.
        offset: usize,
    },
    /// Comments nested more than 16 deep.
    #[error("comments at byte {offset} nest more than 16 deep")]
    CommentTooDeep {
        /// Where the one too many begins.
        offset: usize,
    },
    /// A quoted string that does not end.
    #[error("the quoted string that begins at byte {offset} does not end")]
    UnclosedQuote {
        /// Where it begins.
        offset: usize,
    },
    /// A character that may not stand there: a control character, or a CR or LF that is no fold.
    #[error("character not allowed at byte {offset}")]
    Character {
        /// Where it stands.
        offset: usize,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a str {
        // `at` only ever moves over whole characters.
        self.text.get(self.at..).unwrap_or("")
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the character if it is the next one.
    pub(crate) fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// Takes characters as long as they fit.
    pub(crate) fn run(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Takes white space, folds and comments; tells whether there were any.
    pub(crate) fn cfws(&mut self) -> Result<bool, LexError> {
        let start = self.at;
        self.cfws_with(|_| {})?;
        Ok(self.at > start)
    }

    /// Takes white space, folds and comments, and hands each comment on, without its outer parentheses, unescaped.
    pub(crate) fn cfws_with(&mut self, mut comment: impl FnMut(String)) -> Result<(), LexError> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => self.fws()?,
                Some('(') => comment(self.comment()?),
                _ => return Ok(()),
            }
        }
    }

    fn fws(&mut self) -> Result<(), LexError> {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => self.at += 1,
                '\r' | '\n' => self.fold()?,
                _ => break,
            }
        }
        Ok(())
    }

    /// RFC 5322 §4.2: "obs-FWS         =   1*WSP *(CRLF 1*WSP)", and a fold may come first.
    fn fold(&mut self) -> Result<(), LexError> {
        match self.rest().as_bytes() {
            [b'\r', b'\n', b' ' | b'\t', ..] => {
                self.at += 2;
                Ok(())
            }
            _ => Err(LexError::Character { offset: self.at }),
        }
    }

    fn comment(&mut self) -> Result<String, LexError> {
        let start = self.at;
        let mut content = String::new();
        let mut depth = 0usize;
        while let Some(c) = self.peek() {
            match c {
                '(' => {
                    depth += 1;
                    if depth > MAX_COMMENT_DEPTH {
                        return Err(LexError::CommentTooDeep { offset: self.at });
                    }
                    if depth > 1 {
                        content.push(c);
                    }
                    self.at += 1;
                }
                ')' => {
                    self.at += 1;
                    depth -= 1;
                    if depth == 0 {
                        return Ok(content);
                    }
                    content.push(c);
                }
                '\\' => {
                    content.push(self.quoted_pair(LexError::UnclosedComment { offset: start })?);
                }
                '\r' | '\n' => self.fold()?,
                '\0' => return Err(LexError::Character { offset: self.at }),
                c => {
                    content.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        Err(LexError::UnclosedComment { offset: start })
    }

    /// Takes a quoted string that begins here and gives its content.
    pub(crate) fn quoted_string(&mut self) -> Result<String, LexError> {
        let start = self.at;
        let mut content = String::new();
        self.eat('"');
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(content);
                }
                '\\' => content.push(self.quoted_pair(LexError::UnclosedQuote { offset: start })?),
                '\r' | '\n' => self.fold()?,
                '\0' => return Err(LexError::Character { offset: self.at }),
                c => {
                    content.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        Err(LexError::UnclosedQuote { offset: start })
    }

    /// RFC 5322 §4.1 lets a backslash quote CR and LF too. Refused: no value may hold what ends a line.
    pub(crate) fn quoted_pair(&mut self, at_end: LexError) -> Result<char, LexError> {
        self.at += 1;
        match self.peek() {
            Some('\r' | '\n') => Err(LexError::Character { offset: self.at }),
            Some(c) => {
                self.at += c.len_utf8();
                Ok(c)
            }
            None => Err(at_end),
        }
    }
}

/// RFC 5322 §3.2.3 `atext`, with RFC 6532 §3.2: "atext   =/  UTF8-non-ascii".
pub(crate) fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || !c.is_ascii() && !c.is_control()
}

/// RFC 2045 §5.1, `token`: "any (US-ASCII) CHAR except SPACE, CTLs, or tspecials".
pub(crate) fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

/// Writes text as a quoted string. The text holds no CR, LF.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        // NUL and DEL were read as quoted pairs or obsolete text; a backslash keeps them readable for the same parser.
        if matches!(c, '"' | '\\' | '\0') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
