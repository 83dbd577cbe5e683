//! The form ECMAScript prescribes: `YYYY-MM-DDTHH:mm:ss.sssZ` and its shorter variants.

use super::fields::Fields;
use super::tokens::{Token, Tokens, Word};

/// How far the prescribed form carried.
pub(super) enum Outcome {
    /// The whole text was read.
    Complete,
    /// What has been read may still begin a date of another form; the next token is this one.
    Other(Token),
    /// A time after `T` is broken: no other form allows that.
    Broken,
}

/// Reads as much as possible into `fields`.
pub(super) fn read(tokens: &mut Tokens<'_>, fields: &mut Fields) -> Outcome {
    if let Err(token) = date(tokens, fields) {
        return Outcome::Other(token);
    }
    if tokens.skip(Token::Word(Word::TimeSeparator)) {
        if time(tokens, fields).is_none() {
            return Outcome::Broken;
        }
    } else if tokens.peek() != Token::End {
        return Outcome::Other(tokens.next());
    }
    if fields.zone.is_empty() && fields.time.is_empty() {
        fields.zone.set(0);
    }
    fields.day.set_iso();
    Outcome::Complete
}

/// `YYYY`, `+YYYYYY` or `-YYYYYY`, then `-MM` and `-DD` if they are there. The error is the token that did not fit.
fn date(tokens: &mut Tokens<'_>, fields: &mut Fields) -> Result<(), Token> {
    let year = match tokens.peek() {
        token @ Token::Sign(sign) => {
            tokens.next();
            let year = tokens.peek().fixed(6).ok_or(token)?;
            tokens.next();
            if sign < 0 && year == 0 {
                return Err(token);
            }
            sign * year as i32
        }
        token => match token.fixed(4) {
            Some(year) => {
                tokens.next();
                year as i32
            }
            None => return Err(tokens.next()),
        },
    };
    // The year is the first number of three: there is room for all that follow here.
    let _ = fields.day.push(year);
    for last in [12, 31] {
        if !tokens.skip(Token::Sign(-1)) {
            break;
        }
        match tokens.next() {
            token if token.fixed(2).is_some_and(|number| (1..=last).contains(&number)) => {
                let _ = fields.day.push(token.fixed(2).unwrap_or_default() as i32);
            }
            token => return Err(token),
        }
    }
    Ok(())
}

/// `HH:mm`, then `:ss`, `.sss` and a zone if they are there, then the end. Nothing if it is not so.
fn time(tokens: &mut Tokens<'_>, fields: &mut Fields) -> Option<()> {
    let hour = tokens.next().fixed(2).filter(|hour| *hour <= 24)?;
    // 24:00:00.000 is midnight at the end of the day; nothing else may follow 24.
    let limit = if hour == 24 { 1 } else { 60 };
    fields.time.push(hour)?;
    if !tokens.skip(Token::Symbol(':')) {
        return None;
    }
    fields.time.push(below(tokens.next(), limit)?)?;
    if tokens.skip(Token::Symbol(':')) {
        fields.time.push(below(tokens.next(), limit)?)?;
        if tokens.skip(Token::Symbol('.')) {
            let fraction = tokens.next();
            if hour == 24 && !matches!(fraction, Token::Number { value: 0, .. }) {
                return None;
            }
            fields.time.push(fraction.milliseconds()?)?;
        }
    }
    zone(tokens, fields)?;
    (tokens.peek() == Token::End).then_some(())
}

fn zone(tokens: &mut Tokens<'_>, fields: &mut Fields) -> Option<()> {
    if tokens.skip(Token::Word(Word::Zulu)) {
        fields.zone.set(0);
        return Some(());
    }
    let Token::Sign(sign) = tokens.peek() else {
        return Some(());
    };
    tokens.next();
    fields.zone.set_sign(sign);
    let first = tokens.next();
    if let Some(both) = first.fixed(4) {
        let (hour, minute) = (both / 100, both % 100);
        fields.zone.set_absolute(hour, Some(minute));
        return (hour < 24 && minute < 60).then_some(());
    }
    let hour = below(first, 24)?;
    if !tokens.skip(Token::Symbol(':')) {
        return None;
    }
    fields.zone.set_absolute(hour, Some(below(tokens.next(), 60)?));
    Some(())
}

/// A two-digit number below `limit`.
fn below(token: Token, limit: u32) -> Option<u32> {
    token.fixed(2).filter(|number| *number < limit)
}
