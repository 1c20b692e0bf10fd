//! What a run did, as one number: the same seed gives the same.

/// Hashes events; prints them too when asked.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hash: u64,
    prints: bool,
}

impl Trace {
    pub(crate) fn new(prints: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, prints }
    }

    pub(crate) fn note(&mut self, event: &str, a: u64, b: u64) {
        if self.prints {
            println!("{event} {a} {b}");
        }
        event.bytes().for_each(|byte| self.mix(u64::from(byte)));
        self.mix(a);
        self.mix(b);
    }

    /// FNV-1a over 64-bit words, with a rotation so that high bits count.
    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}
