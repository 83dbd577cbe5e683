//! The form V8 takes when the prescribed one does not fit: parts in almost any order, with names, comments and offsets.

use super::fields::Fields;
use super::tokens::{Token, Tokens, Word};

/// Reads the rest of the text into `fields`, beginning with `first`, which was taken already. Nothing if it is no date.
pub(super) fn read(tokens: &mut Tokens<'_>, first: Token, fields: &mut Fields) -> Option<()> {
    // Words that mean nothing are passed over, but only before the first number.
    let mut number_seen = !fields.day.is_empty();
    let mut token = first;
    while token != Token::End {
        match token {
            Token::Number { value, .. } => {
                number_seen = true;
                number(value, tokens, fields)?;
            }
            Token::Word(name) => word(name, number_seen, tokens, fields)?,
            Token::Sign(sign) if fields.zone.is_utc() || !fields.time.is_empty() => {
                number_seen = true;
                offset(sign, tokens, fields)?;
            }
            Token::Sign(_) | Token::Symbol(')') if number_seen => return None,
            _ => {}
        }
        token = tokens.next();
    }
    Some(())
}

/// A number is a part of the time if a colon or a point says so or a time has begun, else a part of the day.
fn number(value: u32, tokens: &mut Tokens<'_>, fields: &mut Fields) -> Option<()> {
    if tokens.skip(Token::Symbol(':')) {
        if tokens.skip(Token::Symbol(':')) {
            // `n::` has no minutes, and only an hour may come so.
            if !fields.time.is_empty() {
                return None;
            }
            fields.time.push(value)?;
            return fields.time.push(0);
        }
        fields.time.push(value)?;
        tokens.skip(Token::Symbol('.'));
        return Some(());
    }
    if tokens.skip(Token::Symbol('.')) && fields.time.expects(value) {
        fields.time.push(value)?;
        // After `h:m:s:ms.` the decimals have no place left, and are read for nothing.
        let _ = fields.time.push_last(tokens.next().milliseconds()?);
        return Some(());
    }
    if fields.zone.expects(value) {
        fields.zone.set_minute(value);
        return Some(());
    }
    if fields.time.expects(value) {
        fields.time.push_last(value)?;
        let may_follow = matches!(tokens.peek(), Token::End | Token::Space | Token::Sign(_) | Token::Word(Word::Zulu));
        return may_follow.then_some(());
    }
    fields.day.push(value as i32)?;
    tokens.skip(Token::Sign(-1));
    Some(())
}

fn word(word: Word, number_seen: bool, tokens: &mut Tokens<'_>, fields: &mut Fields) -> Option<()> {
    match word {
        Word::Half(hours) if !fields.time.is_empty() => fields.time.set_half(hours),
        Word::Month(month) => {
            fields.day.name_month(month);
            tokens.skip(Token::Sign(-1));
        }
        Word::Zulu if number_seen => fields.zone.set(0),
        Word::Zone(hours) if number_seen => fields.zone.set(hours),
        // The first number must stand apart from a word without meaning.
        _ => return (!number_seen && !matches!(tokens.peek(), Token::Number { .. })).then_some(()),
    }
    Some(())
}

/// The number after a sign, by its length: hours, or hours and minutes; with a colon, hours whose minutes may follow.
fn offset(sign: i32, tokens: &mut Tokens<'_>, fields: &mut Fields) -> Option<()> {
    fields.zone.set_sign(sign);
    let (value, digits) = match tokens.peek() {
        Token::Number { value, digits } => {
            tokens.next();
            (value, digits)
        }
        _ => (0, 0),
    };
    if tokens.peek() == Token::Symbol(':') {
        fields.zone.set_absolute(value, None);
        return Some(());
    }
    match digits {
        1 | 2 => fields.zone.set_absolute(value, Some(0)),
        3 | 4 => fields.zone.set_absolute(value / 100, Some(value % 100)),
        _ => return None,
    }
    Some(())
}
