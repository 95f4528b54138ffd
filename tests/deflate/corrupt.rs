//! Compressed data that was changed at random: the library takes what C zlib takes, and nothing else.

use crate::adversary::{BINARY, CONTINUATION, Frame};
use crate::ask;
use crate::host::WATCHDOG;
use crate::link::{Link, SIDES, connect, deflate, host, noise, noisy_text, records, with};
use crate::zlib::Zlib;
use data_encoding::BASE64;
use serde_json::json;

const LIMIT: usize = 100_000;

/// Numbers that are the same each time.
struct Dice(Vec<u8>);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(noise(64 * 1024, seed))
    }

    fn below(&mut self, end: usize) -> usize {
        let at = self.0.len() - 4;
        let four = self.0.split_off(at);
        u32::from_le_bytes(four.try_into().unwrap()) as usize % end.max(1)
    }
}

/// Bits turned, bytes put in, left out, repeated or cut off.
fn change(good: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.insert(at, dice.below(256) as u8),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..),
            _ => bytes.extend_from_slice(&good[dice.below(good.len())..]),
        }
    }
    bytes
}

#[test]
fn what_was_changed_at_random_is_taken_as_c_zlib_takes_it() {
    let turns = if crate::memory::full() { 3000 } else { 150 };
    let mut zlib = Zlib::new();
    let mut good = vec![];
    for (level, memory) in [(0, 8), (1, 1), (6, 8), (9, 9)] {
        for message in [
            records(50),
            records(700),
            records(5000),
            noisy_text(300, 1),
            "a".repeat(40_000),
        ] {
            let deflater = zlib.deflater_with(15, level, memory);
            good.push(zlib.deflate(deflater, message.as_bytes()));
            let deflater = zlib.deflater_with(15, level, memory);
            good.push(zlib.deflate_finally(deflater, message.as_bytes()));
        }
    }
    for side in SIDES {
        let host = host();
        ask!(host, "quiet", "fragment").ok();
        let options = with(deflate(json!({})), &json!({"maxMessage": LIMIT}));
        let alone = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
        let mut link: Option<Link> = None;
        let mut dice = Dice::new(7);
        let (mut taken, mut refused) = (0, 0);
        for turn in 0..turns {
            if dice.0.len() < 1000 {
                dice = Dice::new(turn as u64 + 8);
            }
            let payload = change(&good[dice.below(good.len())], &mut dice);
            let judged = zlib.judge(&payload);
            let link_now = link.get_or_insert_with(|| connect(&host, side, &options, alone));
            let client = link_now.client;
            let split = dice.below(payload.len() + 1);
            if split % 3 == 0 {
                link_now.send(&Frame::new(BINARY, &payload).rsv(4));
            } else {
                link_now.send(&Frame::new(BINARY, &payload[..split]).rsv(4).not_final());
                link_now.send(&Frame::new(CONTINUATION, &payload[split..]));
            }
            let what = format!("{side:?}, turn {turn}, {payload:02x?}");
            let event = host.wait_for("message or close", WATCHDOG, |event| {
                event.client() == client && (event.is("message") || event.is("close"))
            });
            match judged {
                Ok(Some(message)) if message.len() <= LIMIT => {
                    assert!(event.is("message"), "{what}: {event:?}");
                    let data = BASE64.decode(event.context("data").as_str().unwrap().as_bytes());
                    assert!(data.unwrap() == message, "{what}: another message");
                    taken += 1;
                }
                Ok(Some(_)) => assert_eq!(event.code(), 1009, "{what}"),
                // Corrupt behind the limit, or before it.
                Ok(None) | Err(_) => {
                    assert!([1007, 1009].contains(&event.code()), "{what}: {event:?}");
                    refused += 1;
                }
            }
            if event.is("close") {
                link = None;
            }
        }
        println!("{side:?}: {taken} taken, {refused} refused");
        assert!(
            taken > turns / 20 && refused > turns / 4,
            "{taken}, {refused}"
        );
        host.leave();
    }
}
