//! Island ids: a prefix and a counter.

use super::change::IslandId;

/// Gives out island ids: prefix + 1, 2, … in base 36 with lower-case letters. First comes the number; the text only for islands
/// that somebody gets to see.
#[derive(Clone, Debug)]
pub(crate) struct IslandIds {
    prefix: String,
    last: u64,
}

impl IslandIds {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, last: 0 }
    }

    /// The next number. It is used up even when the island comes to nothing.
    pub(crate) fn draw(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The id with that number. Never empty.
    pub(crate) fn text(&self, number: u64) -> IslandId {
        // 13 digits of base 36 hold any number.
        let mut text = String::with_capacity(self.prefix.len() + 13);
        text.push_str(&self.prefix);
        push_base36(&mut text, number);
        text.into()
    }
}

fn push_base36(text: &mut String, number: u64) {
    if number >= 36 {
        push_base36(text, number / 36);
    }
    let digit = char::from_digit((number % 36) as u32, 36);
    text.push(digit.unwrap_or('0'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_in_base_36() {
        let mut ids = IslandIds::new("realm-".to_owned());
        let numbers: Vec<u64> = (0..1300).map(|_| ids.draw()).collect();
        let drawn: Vec<IslandId> = numbers.into_iter().map(|number| ids.text(number)).collect();
        for (index, expected) in [(0, "1"), (8, "9"), (9, "a"), (34, "z"), (35, "10"), (1295, "100")] {
            assert_eq!(&*drawn[index], format!("realm-{expected}"));
        }
    }
}
