//! Dates as JavaScript's `Date.parse` reads them.
//!
//! An ephemeral message names its expiry as text, and the services that clients were written against read it with V8's
//! `Date.parse`. ECMAScript prescribes one form (`2099-01-01T00:00:00.000Z`, and shorter); V8 takes many more, and so
//! must a server that lets in whom they let in: a date or a year alone, RFC 2822, month and zone names, comments in
//! parentheses, `am` and `pm`, lower-case `t` and `z`, hour 24, any number of decimals. Days up to 31 are taken in every
//! month and roll over.
//!
//! Left out: time zones of the machine (a text without a zone means UTC), and offsets of more than 2^31 - 1 seconds,
//! which V8 lets overflow in places and which are refused here.

mod fields;
mod iso;
mod legacy;
mod tokens;

use fields::Fields;
use tokens::Tokens;

/// The moment a date text names, in milliseconds since 1970 (negative before), or nothing if it is no date.
pub(super) fn parse(text: &str) -> Option<i64> {
    let mut tokens = Tokens::new(text);
    let mut fields = Fields::default();
    match iso::read(&mut tokens, &mut fields) {
        iso::Outcome::Complete => {}
        iso::Outcome::Other(first) => legacy::read(&mut tokens, first, &mut fields)?,
        iso::Outcome::Broken => return None,
    }
    fields.moment()
}

#[cfg(test)]
mod tests;
