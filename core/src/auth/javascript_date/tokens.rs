//! Splits a date text into the words JavaScript's date reader sees.

/// One piece of a date text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A run of digits. `value` holds the first nine significant ones, `digits` counts them all.
    Number { value: u32, digits: usize },
    /// `+` (1) or `-` (-1).
    Sign(i32),
    /// One of `:`, `.` and `)`.
    Symbol(char),
    /// A word the reader knows, or [`Word::Unknown`].
    Word(Word),
    /// One white-space character.
    Space,
    /// A comment in parentheses, or a character that means nothing.
    Other,
    /// The end of the text, or a NUL in it.
    End,
}

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A month by its first three letters, 1 to 12.
    Month(u32),
    /// `am` (0) or `pm` (12): the hours to add.
    Half(u32),
    /// The letter `z`.
    Zulu,
    /// A longer zone name, with its offset in hours.
    Zone(i32),
    /// The letter `t`, which parts date and time.
    TimeSeparator,
    /// Anything else.
    Unknown,
}

impl Token {
    /// Whether this is a number written with exactly `wanted` digits.
    pub(super) fn fixed(self, wanted: usize) -> Option<u32> {
        match self {
            Self::Number { value, digits } if digits == wanted => Some(value),
            _ => None,
        }
    }

    /// A number read as the digits after a decimal point of seconds: milliseconds, the rest cut off.
    ///
    /// Leading zeros do not count among the nine digits kept but count in the length, so a fraction with both
    /// leading zeros and more than nine digits comes out too large; the original does the same.
    pub(super) fn milliseconds(self) -> Option<u32> {
        let Self::Number { value, digits } = self else {
            return None;
        };
        Some(match digits.min(9) {
            1 => value * 100,
            2 => value * 10,
            kept => value / 10u32.pow(kept.saturating_sub(3) as u32),
        })
    }
}

/// Reads tokens with one token of look-ahead.
pub(super) struct Tokens<'a> {
    rest: std::str::Chars<'a>,
    peeked: Token,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        let mut tokens = Self { rest: text.chars(), peeked: Token::End };
        tokens.peeked = tokens.scan();
        tokens
    }

    /// The next token, left in place.
    pub(super) fn peek(&self) -> Token {
        self.peeked
    }

    /// Takes the next token; after the end, [`Token::End`] for ever.
    pub(super) fn next(&mut self) -> Token {
        let following = self.scan();
        std::mem::replace(&mut self.peeked, following)
    }

    /// Takes the next token if it is `wanted`, and says whether it was.
    pub(super) fn skip(&mut self, wanted: Token) -> bool {
        let found = self.peeked == wanted;
        if found {
            self.next();
        }
        found
    }

    fn scan(&mut self) -> Token {
        let before = self.rest.clone();
        let Some(first) = self.rest.next() else {
            return Token::End;
        };
        match first {
            '0'..='9' => {
                self.rest = before;
                self.number()
            }
            '+' => Token::Sign(1),
            '-' => Token::Sign(-1),
            ':' | '.' | ')' => Token::Symbol(first),
            '(' => self.comment(),
            _ if is_space(first) => Token::Space,
            _ if is_word(first) => {
                self.rest = before;
                self.word()
            }
            _ => Token::Other,
        }
    }

    fn number(&mut self) -> Token {
        let digits = self.take_while(|c| c.is_ascii_digit());
        let value =
            digits.trim_start_matches('0').bytes().take(9).fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        Token::Number { value, digits: digits.len() }
    }

    fn word(&mut self) -> Token {
        Token::Word(meaning(self.take_while(is_word)))
    }

    /// Skips to the parenthesis that closes the one just read, or to the end.
    fn comment(&mut self) -> Token {
        let mut open = 1;
        while open > 0 {
            match self.rest.next() {
                Some('(') => open += 1,
                Some(')') => open -= 1,
                Some(_) => {}
                None => break,
            }
        }
        Token::Other
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let text = self.rest.as_str();
        let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
        self.rest = text[end..].chars();
        &text[..end]
    }
}

/// Every character from `A` upwards belongs to words, except white space.
fn is_word(c: char) -> bool {
    c >= 'A' && !is_space(c)
}

/// White space as ECMAScript counts it: without U+0085, with the byte-order mark. Of the line ends only ASCII's count.
fn is_space(c: char) -> bool {
    match c {
        '\u{feff}' => true,
        '\u{85}' | '\u{2028}' | '\u{2029}' => false,
        _ => c.is_whitespace(),
    }
}

fn meaning(word: &str) -> Word {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let starts_with = |month: &str| {
        let start = word.as_bytes().get(..3);
        start.is_some_and(|start| start.eq_ignore_ascii_case(month.as_bytes()))
    };
    if let Some(index) = MONTHS.iter().position(|month| starts_with(month)) {
        return Word::Month(index as u32 + 1);
    }
    match word.to_ascii_lowercase().as_str() {
        "am" => Word::Half(0),
        "pm" => Word::Half(12),
        "t" => Word::TimeSeparator,
        "z" => Word::Zulu,
        "ut" | "utc" | "gmt" => Word::Zone(0),
        "edt" => Word::Zone(-4),
        "est" | "cdt" => Word::Zone(-5),
        "cst" | "mdt" => Word::Zone(-6),
        "mst" | "pdt" => Word::Zone(-7),
        "pst" => Word::Zone(-8),
        _ => Word::Unknown,
    }
}
