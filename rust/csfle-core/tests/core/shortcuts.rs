//! Runs of strings, plain and optional: walked in one step, and item by item where something is odd.

use csfle_core::error::Code;

use crate::kit::bodies::{Body, body};
use crate::kit::plans::{EXACT, WRITE, fault, filled, plan, record_of, walk};

const RUN: usize = 5;

/// How an item of the run is written, from its text.
type Write = fn(Body, &str) -> Body;

const TYPES: [(&str, Write); 4] = [
    ("string", |body, text| body.text(text)),
    ("bytes", |body, text| body.text(text)),
    (
        r#"["null","string"]"#,
        |body, text| if text.is_empty() { body.long(0) } else { body.long(1).text(text) },
    ),
    (
        r#"["string","null"]"#,
        |body, text| if text.is_empty() { body.long(1) } else { body.long(0).text(text) },
    ),
];

/// `RUN` untagged fields of a type between tagged ones.
fn schema(ty: &str) -> String {
    let run: Vec<_> = (0..RUN).map(|item| format!("s{item}")).collect();
    let run = run.iter().map(|name| (name.as_str(), ty));
    record_of(&[("t1", "string")].into_iter().chain(run).chain([("t2", "string")]).collect::<Vec<_>>())
}

fn texts(odd: usize, text: &str) -> Vec<String> {
    (0..RUN).map(|item| if item == odd { text.to_owned() } else { "abc"[..item % 4].to_owned() }).collect()
}

#[test]
fn every_item_is_handed_on_whatever_its_length() {
    for (ty, write) in TYPES {
        let plan = plan(&schema(ty), WRITE);
        for odd in 0..RUN {
            for len in [0, 1, 63, 64, 65, 127, 128, 8_191, 8_192, 70_000] {
                let run =
                    |first: Body| texts(odd, &"x".repeat(len)).iter().fold(first, |b, text| write(b, text));
                let whole = run(body().text("one")).text("two").0;
                let seen = walk(&plan, &whole).unwrap();
                assert_eq!(seen.out, run(body().text(filled(3))).text(filled(3)).0, "{ty} {odd} {len}");
            }
        }
    }
}

#[test]
fn a_fault_is_that_of_its_item() {
    for (ty, write) in TYPES {
        let optional = ty.starts_with('[');
        let plan = plan(&schema(ty), WRITE);
        for odd in 0..RUN {
            let front = texts(RUN, "")[..odd].iter().fold(body().text("one"), |b, text| write(b, text));
            let start = front.0.len();
            let value =
                if optional { write(front.clone(), "x").0[..=start].to_vec() } else { front.0.clone() };
            let path = Some(format!("s{odd}"));
            let faulty = |end: &[u8]| fault(&plan, &[&value[..], end].concat());
            let behind = value.len();
            assert_eq!(faulty(&[1]), (Code::NegativeLength, path.clone(), Some(behind + 1)), "{ty} {odd}");
            assert_eq!(faulty(&[6, b'x']), (Code::Truncated, path.clone(), Some(behind + 1)), "{ty} {odd}");
            assert_eq!(faulty(&[]), (Code::Truncated, path.clone(), Some(behind)), "{ty} {odd}");
            assert_eq!(faulty(&[0x80; 11]).0, Code::VarintTooLong, "{ty} {odd}");
            if optional {
                let indexed = |index: i64| fault(&plan, &front.clone().long(index).text("x").0);
                for index in [2, 63, 64, -1, i64::MAX] {
                    let (code, found, _) = indexed(index);
                    assert_eq!((code, found), (Code::UnionIndex, path.clone()), "{ty} {odd} {index}");
                }
            }
        }
    }
}

#[test]
fn an_index_of_two_bytes_is_read_as_the_number_it_is() {
    let plan = plan(&schema(r#"["null","string"]"#), WRITE);
    for odd in 0..RUN {
        // 0x80 0x00 is a long way to write 0, and 0x82 0x00 to write 1.
        for (index, text) in [([0x80, 0], body()), ([0x82, 0], body().text("x"))] {
            let front = (0..odd).fold(body().text("one"), |b, _| b.long(0)).raw(index).raw(text.0);
            let whole = (odd + 1..RUN).fold(front, |b, _| b.long(1).text("y")).text("two").0;
            assert_eq!(walk(&plan, &whole).unwrap().holes.len(), 2, "{odd}");
        }
    }
}

#[test]
fn strings_that_are_checked_as_text_are_not_passed_over() {
    let plan = plan(&schema("string"), EXACT);
    for odd in 0..RUN {
        let front = (0..odd).fold(body().text("one"), |b, _| b.text("x"));
        let at = front.0.len() + 2;
        let whole = (odd + 1..RUN).fold(front.text([0xff]), |b, _| b.text("y")).text("two").0;
        assert_eq!(fault(&plan, &whole), (Code::InvalidUtf8, Some(format!("s{odd}")), Some(at)));
    }
}
