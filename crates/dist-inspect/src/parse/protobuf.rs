//! Protocol buffers on the wire: fields one after the other, without knowing what they mean.
//! See <https://protobuf.dev/programming-guides/encoding/>.

use crate::Refusal;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number.
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// The bytes; none where it is a number.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    /// The number, cut to 32 bits; 0 where it is none.
    pub fn number(self) -> u32 {
        match self {
            Self::Number(number) => u32::try_from(number & 0xFFFF_FFFF).unwrap_or(0),
            Self::Bytes(_) => 0,
        }
    }

    /// The text; what is none in it is replaced.
    pub fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// The fields of a message with their numbers, in their order.
#[derive(Clone, Debug)]
pub struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// The message that `bytes` are.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The last field of this number, as it counts where there are several.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn get(&self, number: u64) -> Result<Option<Field<'a>>, Refusal> {
        let mut last = None;
        for field in self.clone() {
            let (other, field) = field?;
            if other == number {
                last = Some(field);
            }
        }
        Ok(last)
    }

    fn read(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(len)?)
            }
            5 => Field::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => return None,
        };
        Some((key >> 3, field))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7F) << (place * 7);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Field<'a>), Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.0 = &[];
        }
        Some(read.ok_or_else(|| Refusal::malformed("message", "a field is damaged")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_numbers_and_the_last_one_counts() {
        let message = Message::new(b"\x08\x96\x01\x12\x02hi\x08\x01\x1D\x01\x00\x00\x00");
        assert_eq!(message.get(1).unwrap(), Some(Field::Number(1)));
        assert_eq!(message.get(2).unwrap().unwrap().text(), "hi");
        assert_eq!(message.get(3).unwrap().unwrap().number(), 1);
        assert_eq!(message.get(4).unwrap(), None);
        assert_eq!(message.count(), 4);
    }

    #[test]
    fn what_is_cut_or_endless_is_refused() {
        for bytes in [&b"\x08"[..], b"\x12\x05hi", &[0x80; 11], b"\x0B"] {
            assert!(Message::new(bytes).get(1).is_err());
            assert_eq!(Message::new(bytes).count(), 1);
        }
    }
}
