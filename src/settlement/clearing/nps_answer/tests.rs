use proptest::prelude::*;

use super::*;

const HEADER: &str = "1644^699^O^00000004567^20240402^1^I^T\n";
const DETAIL: &str = "1240^200^000000^4111111111111111^567345^975568938144^^6011^^^^500.00^524\n";
const SUMMARY: &str = "1644^605^O^00000004567^20240402^1^I^T
356^1^05^5000.00^2
524^2^05^10000.00^1
524^3^25^5000.00^4
392^4^07^10000.00^10
414^5^05^1.25^100
1644^605^3^30001.25^117
";

fn read(text: &str) -> Result<NpsAnswer, String> {
    read_answer(text.as_bytes()).map_err(|error| error.to_string())
}

fn file() -> NpsFileId {
    NpsFileId {
        member_id: "00000004567".into(),
        business_date: "2024-04-02".parse().unwrap(),
        cycle: Cycle::new(1).unwrap(),
    }
}

#[test]
fn a_reject_says_which_field_of_which_item_is_wrong() {
    let text = format!(
        "{HEADER}{DETAIL}Forwarding ID^0000000928A^Value should be numeric\n\
         PAN^4111111111111111^Not on file\n1644^699^2^500.00^2\n"
    );
    let reject = read(&text).unwrap();
    let rejection = |field: &str, value: &str, error: &str| Rejection {
        record: Some(RejectedRecord {
            mti: "1240".into(),
            rrn: Some("975568938144".parse().unwrap()),
        }),
        field: field.into(),
        value: value.into(),
        error: error.into(),
    };
    assert!(!reject.is_duplicate());
    assert_eq!(
        reject,
        NpsAnswer {
            file: file(),
            verdict: FileVerdict::Rejected {
                rejections: vec![
                    rejection("Forwarding ID", "0000000928A", "Value should be numeric"),
                    rejection("PAN", "************1111", "Not on file"),
                ],
                count: 2,
            },
        }
    );
}

#[test]
fn a_file_that_was_sent_before_is_a_duplicate() {
    let text = format!(
        "{HEADER}1644^601^O^00000004567^20240402^1^I^T\r\n\r\n\
         File ID^00000004567202404021^Duplicate File ID\r\n1644^699^2^300.00^2"
    );
    let reject = read(&text).unwrap();
    assert!(reject.is_duplicate());
    let FileVerdict::Rejected { rejections, .. } = reject.verdict else {
        panic!("{:?}", reject.verdict);
    };
    let record = rejections[0].record.clone().unwrap();
    assert_eq!((&*record.mti, record.rrn), ("1644", None));
}

#[test]
fn a_summary_says_what_was_taken() {
    let summary = read(SUMMARY).unwrap();
    assert_eq!(summary.file, file());
    let FileVerdict::Accepted { taken } = summary.verdict else {
        panic!("{:?}", summary.verdict);
    };
    let shown = taken.iter().map(|line| {
        let TakenSum {
            currency,
            transaction_code,
            sum_minor,
            count,
        } = line;
        format!("{currency} {transaction_code} {sum_minor} {count}")
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "INR 05 500000 2",
            "NPR 05 1000000 1",
            "NPR 25 500000 4",
            "JPY 07 10000 10",
            "KWD 05 1250 100"
        ]
    );
}

#[test]
fn other_answers_are_refused() {
    let summary = |from: &str, to: &str| SUMMARY.replacen(from, to, 1);
    for (text, expected) in [
        (String::new(), "line 0: expected 1644^699 or 1644^605"),
        (
            HEADER.into(),
            "line 1: expected a trailer, 1644^699, got \"the end",
        ),
        (summary("^605^", "^601^"), "line 1: expected 1644^699 or"),
        (summary("^20240402^", "^2024-04-02^"), "line 1:"),
        (summary("^20240402^", "^20240431^"), "line 1:"),
        (summary("^1^I^T", "^0^I^T"), "line 1:"),
        (summary("^1^I^T", "^1^I"), "line 1:"),
        (summary("356^1", "999^1"), "line 2: expected currency"),
        (
            summary("^2^05", "^3^05"),
            "line 3: expected currency, sequence",
        ),
        (summary("^4^07^10000.00", "^4^07^10000.50"), "line 5:"),
        (
            summary("5000.00^4", "5000.00^5"),
            "line 7: expected a total of 3000125 hundredths and 118 items",
        ),
        (
            summary("^5000.00^2", "^5000.01^2"),
            "line 7: expected a total of 3000126",
        ),
        (
            summary("1644^605^3^30001.25^117\n", ""),
            "line 6: expected a trailer, 1644^605",
        ),
        (
            format!("{SUMMARY}356^6^05^1.00^1\n"),
            "line 8: expected nothing after",
        ),
        (
            format!("{HEADER}one^two\n1644^699^^^"),
            "line 2: expected a record, or Field",
        ),
        (
            format!("{HEADER}{}\n", "x".repeat(100_000)),
            "line 2: expected a line of text",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n{text}");
    }
    let no_text = [HEADER.as_bytes(), b"a^\xff^b\n"].concat();
    assert!(read_answer(&no_text[..]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        pieces in proptest::collection::vec("(1644|1240|699|605|524|05|[0-9.]{0,4}|\\^|\n)", 0..40),
        cut in 0..SUMMARY.len() - 1,
    ) {
        let _ = read_answer(&bytes[..]);
        let _ = read_answer([HEADER.as_bytes(), &bytes].concat().as_slice());
        let _ = read_answer([SUMMARY.as_bytes(), pieces.concat().as_bytes()].concat().as_slice());
        let _ = read(&format!("{}{}", &SUMMARY[..39], pieces.concat()));
        prop_assert!(read(&SUMMARY[..cut]).is_err(), "{}", &SUMMARY[..cut]);
    }
}
