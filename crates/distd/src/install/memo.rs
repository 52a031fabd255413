//! Texts that cost more to make than to keep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept, of at most some 16 KiB each.
const MOST: usize = 256;

/// The last few hundred texts that were made, by what they were made of.
#[derive(Default)]
pub(super) struct Memo {
    kept: Mutex<HashMap<String, Arc<str>>>,
}

impl Memo {
    /// The text of `key`, which `make` makes where it is not kept. What is made is the same every
    /// time, so that two who make it at once do no harm.
    pub(super) fn get(&self, key: &str, make: impl FnOnce() -> String) -> Arc<str> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = kept().get(key) {
            return Arc::clone(text);
        }
        let text: Arc<str> = make().into();
        let mut kept = kept();
        // Who asks for thousands of pages pays for making them anew.
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key.to_owned(), Arc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_and_memory_is_bounded() {
        let memo = Memo::default();
        assert_eq!(&*memo.get("a", || "made".to_owned()), "made");
        assert_eq!(&*memo.get("a", || unreachable!()), "made");
        for number in 0..1000 {
            memo.get(&number.to_string(), String::new);
        }
        assert!(memo.kept.lock().is_ok_and(|kept| kept.len() <= MOST));
    }
}
