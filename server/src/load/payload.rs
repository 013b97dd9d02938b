//! What a message of the generator says: which one it is, when it was to be sent, and that it is whole.
//!
//! ```text
//!   [flow: 4] [number in the flow: 6] [intended time, ns: 7] [filler ..] [CRC-32 of all before: 5]
//! ```
//!
//! A payload cannot contain the byte 0, which ends a frame, so numbers are written in digits of seven bits
//! with the eighth bit set, and the filler counts from 1 to 255.

use std::sync::LazyLock;

/// The shortest payload: one without filler.
pub const SHORTEST: usize = FLOW + NUMBER + AT + CHECKSUM;

/// Digits of each field.
const FLOW: usize = 4;
const NUMBER: usize = 6;
const AT: usize = 7;
const CHECKSUM: usize = 5;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Which sender to which receiver; below 2^28.
    pub(super) flow: usize,
    /// How many went before it in its flow; below 2^42.
    pub(super) number: u64,
    /// When it was to be sent, in ns since the start of the run; below 2^49, six days.
    pub(super) at: u64,
}

/// Bytes 1 to 255 over and over. Longer fillers take it several times.
static FILLER: LazyLock<Vec<u8>> = LazyLock::new(|| (1..=255).cycle().take(255 * 258).collect());

impl Message {
    /// Appends the payload of `len` bytes, at least [`SHORTEST`], to `out`.
    pub(super) fn encode(&self, len: usize, out: &mut Vec<u8>) {
        let start = out.len();
        put::<FLOW>(self.flow as u64, out);
        put::<NUMBER>(self.number, out);
        put::<AT>(self.at, out);
        let mut filler = len.saturating_sub(SHORTEST);
        // Neighbours in a flow have different fillers, so that a byte of one in the other is seen.
        let shift = (self.number % 255) as usize;
        while filler > 0 {
            let piece = filler.min(255 * 257);
            out.extend_from_slice(&FILLER[shift..][..piece]);
            filler -= piece;
        }
        let checksum = crc32fast::hash(&out[start..]);
        put::<CHECKSUM>(checksum.into(), out);
    }

    /// The message that a payload is; `None` if it is none, or was changed.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() < SHORTEST {
            return None;
        }
        let (content, checksum) = payload.split_last_chunk::<CHECKSUM>()?;
        if take(checksum) != u64::from(crc32fast::hash(content)) {
            return None;
        }
        let (flow, rest) = content.split_first_chunk::<FLOW>()?;
        let (number, rest) = rest.split_first_chunk::<NUMBER>()?;
        let (at, _) = rest.split_first_chunk::<AT>()?;
        Some(Message { flow: take(flow) as usize, number: take(number), at: take(at) })
    }
}

fn put<const DIGITS: usize>(value: u64, out: &mut Vec<u8>) {
    let digits: [u8; DIGITS] = std::array::from_fn(|n| 0x80 | (value >> (7 * n)) as u8);
    out.extend_from_slice(&digits);
}

fn take<const DIGITS: usize>(digits: &[u8; DIGITS]) -> u64 {
    digits.iter().rev().fold(0, |value, &digit| value << 7 | u64::from(digit & 0x7F))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: [Message; 3] = [
        Message { flow: 0, number: 0, at: 0 },
        Message { flow: 300, number: 254, at: 1_234_567_890 },
        Message { flow: (1 << 28) - 1, number: (1 << 42) - 1, at: (1 << 49) - 1 },
    ];

    #[test]
    fn a_payload_says_what_was_put_in_and_has_no_zero_byte() {
        for message in MESSAGES {
            for len in [SHORTEST, SHORTEST + 1, 64, 1000, 1 << 18] {
                let mut payload = Vec::new();
                message.encode(len, &mut payload);
                assert_eq!(payload.len(), len);
                assert!(!payload.contains(&0));
                assert_eq!(Message::decode(&payload), Some(message));
            }
        }
    }

    #[test]
    fn a_payload_with_any_byte_changed_or_missing_is_none() {
        let mut payload = Vec::new();
        MESSAGES[1].encode(100, &mut payload);
        for n in 0..payload.len() {
            let mut changed = payload.clone();
            changed[n] ^= 1;
            assert_eq!(Message::decode(&changed), None, "byte {n}");
            assert_eq!(Message::decode(&payload[..n]), None, "{n} bytes");
        }
    }
}
