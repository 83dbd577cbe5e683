//! Expected moments are what V8 11.3 (Node.js 20, TZ=UTC) answers.

use super::parse;

const DAY: i64 = 86_400_000;
/// 2099-01-01T00:00:00.000Z.
const BASE: i64 = 4_070_908_800_000;

#[test]
fn the_prescribed_form() {
    for (text, moment) in [
        ("2099-01-01T00:00:00.000Z", BASE),
        ("2099", BASE),
        ("2099-01", BASE),
        ("2099-01-01", BASE),
        ("2099-01-01T00:00", BASE),
        ("2099-01-01T00:00:00", BASE),
        ("2099-01-01T00:00:00Z", BASE),
        ("2099-01-01T00:00:00.1Z", BASE + 100),
        ("2099-01-01T00:00:00.123456Z", BASE + 123),
        ("2099-01-01T00:00:00+02:00", BASE - 7_200_000),
        ("2099-01-01T00:00:00-0230", BASE + 9_000_000),
        ("2099-01-01t00:00:00z", BASE),
        ("2099-01-01T24:00:00.000Z", BASE + DAY),
        ("+002099-01-01T00:00:00.000Z", BASE),
        ("+012099-01-01T00:00:00.000Z", 319_640_428_800_000),
        ("-000001-01-01T00:00:00Z", -62_198_755_200_000),
        ("0000-01-01", -62_167_219_200_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("+275760-09-13T00:00:00.000Z", 8_640_000_000_000_000),
    ] {
        assert_eq!(parse(text), Some(moment), "{text}");
    }
}

#[test]
fn days_roll_over_into_the_next_month() {
    assert_eq!(parse("2099-02-30T00:00:00.000Z"), parse("2099-03-02T00:00:00.000Z"));
    assert_eq!(parse("2096-02-31"), parse("2096-03-02"));
    assert_eq!(parse("2099-04-31"), parse("2099-05-01"));
}

#[test]
fn other_forms() {
    for (text, moment) in [
        ("Thu, 01 Jan 2099 00:00:00 GMT", BASE),
        ("Thu, 01 Jan 2099 00:00:00 +0200", BASE - 7_200_000),
        ("Thu, 01 Jan 2099 00:00:00 EST", BASE + 18_000_000),
        ("Thu Jan 01 2099 00:00:00 GMT+0000 (Coordinated Universal Time)", BASE),
        ("January 1, 2099 10:00 PM", BASE + 79_200_000),
        ("1/1/2099", BASE),
        ("2099/1/1", BASE),
        ("2099-1-1", BASE),
        ("1/1/99", 915_148_800_000),
        ("2099-01-01 00:00:00", BASE),
        ("2099-01-01 24:00", BASE + DAY),
        ("2099-01-01 1::", BASE + 3_600_000),
        ("until 2099-01-01", BASE),
        ("Jan 1", 978_307_200_000),
        ("2099-01-01\u{3000}\u{feff}00:00", BASE),
        ("1 Jan 2099 10:00:00:00.5", BASE + 36_000_000),
        ("2099-01-01\0soon", BASE),
    ] {
        assert_eq!(parse(text), Some(moment), "{text}");
    }
}

#[test]
fn texts_that_are_no_dates() {
    for text in [
        "",
        " ",
        "soon",
        "Jan",
        "4102444800000",
        "2099-01-01T25:00:00.000Z",
        "2099-01-01T24:00:00.001Z",
        "2099-01-01T24:01",
        "2099-01-01T10",
        "2099-01-01T10:60",
        "2099-01-01T10:00:00.",
        "2099-01-01T10:00:00 Z",
        "2099-01-01T10:00:00Z soon",
        "2099-01-01T10:00:00+2",
        "2099-01-01T10:00:00+24:00",
        "2099-13-01",
        "2099-00-01",
        "2099-01-32",
        "2099-01-01 soon",
        "2099-01-01)",
        "until2099",
        "-000000-01-01T00:00:00Z",
        "+275760-09-13T00:00:00.001Z",
        "+999999-01-01",
        "2099-01-01 13:00 PM",
        "1 2 3 4",
        "1 2099",
        "2099-01-01\u{2028}",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn every_day_of_four_centuries_follows_the_one_before() {
    let lengths = |year: i64| {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    };
    let mut expected = parse("1900-01-01").unwrap();
    for year in 1900..2300 {
        for (month, length) in (1..).zip(lengths(year)) {
            for day in 1..=length {
                assert_eq!(parse(&format!("{year}-{month:02}-{day:02}")), Some(expected));
                expected += DAY;
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC*", dateish in "[0-9TZtz:+. ()amJn/-]{0,40}") {
        let _ = (parse(&text), parse(&dateish));
    }

    #[test]
    fn numbers_of_any_length_are_answered(digits in "[0-9]{1,30}", tail in "[-:.+ ][0-9]{0,12}[-:.]?[0-9]{0,12}") {
        let _ = (parse(&digits), parse(&format!("{digits}{tail}")), parse(&format!("1 Jan 2099 1:1{tail}")));
    }
}
