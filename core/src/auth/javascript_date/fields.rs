//! What has been read of a date so far, and the moment it names.

const MILLISECONDS_PER_DAY: i64 = 86_400_000;
/// The furthest moment JavaScript can name, in milliseconds either side of 1970.
const FURTHEST: i64 = 8_640_000_000_000_000;

/// The parts of a date text, as they come in.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) day: Day,
    pub(super) time: Time,
    pub(super) zone: Zone,
}

impl Fields {
    /// The moment in milliseconds since 1970, or nothing if the parts do not make a date.
    ///
    /// Without a zone the text means local time, which here is UTC.
    pub(super) fn moment(self) -> Option<i64> {
        let days = self.day.days_since_1970()?;
        let moment = days * MILLISECONDS_PER_DAY + self.time.milliseconds()? - self.zone.milliseconds()?;
        (-FURTHEST..=FURTHEST).contains(&moment).then_some(moment)
    }
}

/// Up to three numbers and a month's name, whose meaning depends on what else there is.
#[derive(Default)]
pub(super) struct Day {
    numbers: [i32; 3],
    count: usize,
    named_month: Option<u32>,
    is_iso: bool,
}

impl Day {
    /// Adds a number; nothing if there are three already.
    pub(super) fn push(&mut self, number: i32) -> Option<()> {
        *self.numbers.get_mut(self.count)? = number;
        self.count += 1;
        Some(())
    }

    pub(super) fn name_month(&mut self, month: u32) {
        self.named_month = Some(month);
    }

    /// Fixes the order year, month, day, and years below 100 as they stand.
    pub(super) fn set_iso(&mut self) {
        self.is_iso = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn days_since_1970(&self) -> Option<i64> {
        let (year, month, day) = self.year_month_day()?;
        let year = match year {
            0..=49 if !self.is_iso => year + 2000,
            50..=99 if !self.is_iso => year + 1900,
            _ => year,
        };
        // Years out of this range are out of every zone's reach of the furthest moment.
        let in_range = (-300_000..=300_000).contains(&year) && (1..=12).contains(&month) && is_day(day);
        in_range.then(|| days_before_month(i64::from(year), i64::from(month)) + i64::from(day) - 1)
    }

    fn year_month_day(&self) -> Option<(i32, i32, i32)> {
        if self.count == 0 {
            return None;
        }
        // What is missing is 1; for a year that means 2001.
        let mut numbers = self.numbers;
        numbers[self.count..].fill(1);
        let [first, second, third] = numbers;
        let Some(month) = self.named_month else {
            let year_first = self.is_iso || !is_day(first);
            return Some(if year_first { (first, second, third) } else { (third, first, second) });
        };
        let month = month as i32;
        Some(if is_day(first) { (second, month, first) } else { (first, month, second) })
    }
}

fn is_day(number: i32) -> bool {
    (1..=31).contains(&number)
}

/// Days from 1970-01-01 to the first of a month (1 to 12) of the Gregorian calendar.
fn days_before_month(year: i64, month: i64) -> i64 {
    // Years counted from March put the leap day last, so that one formula gives the months.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days_to_month = (153 * month + 2) / 5;
    365 * year + leap_days + days_to_month - 719_468
}

/// Hour, minute, second and millisecond.
#[derive(Default)]
pub(super) struct Time {
    parts: [u32; 4],
    count: usize,
    half: Option<u32>,
}

impl Time {
    /// Adds the next part; nothing if there are four already.
    pub(super) fn push(&mut self, part: u32) -> Option<()> {
        *self.parts.get_mut(self.count)? = part;
        self.count += 1;
        Some(())
    }

    /// Adds the last part; what is missing is zero.
    pub(super) fn push_last(&mut self, part: u32) -> Option<()> {
        self.push(part)?;
        self.count = self.parts.len();
        Some(())
    }

    /// Whether `number` could be the next part of a time that has begun.
    pub(super) fn expects(&self, number: u32) -> bool {
        match self.count {
            1 | 2 => number < 60,
            3 => number < 1000,
            _ => false,
        }
    }

    /// Makes it a twelve-hour time: 0 for the morning, 12 for the afternoon.
    pub(super) fn set_half(&mut self, hours: u32) {
        self.half = Some(hours);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn milliseconds(&self) -> Option<i64> {
        let [hour, minute, second, millisecond] = self.parts;
        let hour = match self.half {
            Some(_) if hour > 12 => return None,
            Some(half) => hour % 12 + half,
            None => hour,
        };
        let is_midnight_after = hour == 24 && minute == 0 && second == 0 && millisecond == 0;
        let in_range = hour < 24 && minute < 60 && second < 60 && millisecond < 1000;
        (in_range || is_midnight_after).then(|| i64::from(((hour * 60 + minute) * 60 + second) * 1000 + millisecond))
    }
}

/// The offset from UTC.
#[derive(Default)]
pub(super) struct Zone {
    sign: Option<i32>,
    hour: Option<u32>,
    minute: Option<u32>,
}

impl Zone {
    /// Sets an offset of whole hours.
    pub(super) fn set(&mut self, hours: i32) {
        self.sign = Some(if hours < 0 { -1 } else { 1 });
        self.hour = Some(hours.unsigned_abs());
        self.minute = Some(0);
    }

    pub(super) fn set_sign(&mut self, sign: i32) {
        self.sign = Some(sign);
    }

    /// Sets the hours; `None` for the minutes means that they may follow.
    pub(super) fn set_absolute(&mut self, hour: u32, minute: Option<u32>) {
        self.hour = Some(hour);
        self.minute = minute;
    }

    pub(super) fn set_minute(&mut self, minute: u32) {
        self.minute = Some(minute);
    }

    /// Whether `number` could be the minutes of an offset whose hours ended in a colon.
    pub(super) fn expects(&self, number: u32) -> bool {
        self.hour.is_some() && self.minute.is_none() && number < 60
    }

    pub(super) fn is_utc(&self) -> bool {
        self.hour == Some(0) && self.minute == Some(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hour.is_none()
    }

    fn milliseconds(&self) -> Option<i64> {
        let Some(sign) = self.sign else {
            return Some(0);
        };
        let hour = i64::from(self.hour.unwrap_or(0));
        let seconds = hour * 3600 + i64::from(self.minute.unwrap_or(0)) * 60;
        // The original counts these seconds in 32 bits.
        (seconds <= i64::from(i32::MAX)).then_some(i64::from(sign) * seconds * 1000)
    }
}
