//! Pages that were made a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dist_model::Timestamp;
use dist_service::InstallStamp;

use super::page::Preview;
use super::visitor::Visitor;

/// How many are kept, of at most some 30 KB each.
const MOST: usize = 256;
/// For how long one is kept: what is not in its key, such as whether an old release was withdrawn,
/// is as old as this at most.
const KEPT_MILLIS: i64 = 60_000;

/// What a page depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The page's address, with all that it carries.
    url: String,
    stamp: InstallStamp,
    visitor: Visitor,
    /// The minute that it was made in.
    minute: i64,
}

impl Key {
    pub(super) fn new(url: String, stamp: InstallStamp, visitor: Visitor, now: Timestamp) -> Self {
        Self {
            url,
            stamp,
            visitor,
            minute: now.as_millis().div_euclid(KEPT_MILLIS),
        }
    }
}

/// A page without its frame, which is new with every answer.
pub(super) struct Made {
    pub preview: Preview,
    pub text: String,
}

/// The pages of the last minute. Who may see one is asked each time; only making it is spared.
#[derive(Default)]
pub(crate) struct Pages(Mutex<HashMap<Key, Arc<Made>>>);

impl Pages {
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn keep(&self, key: Key, made: Made) -> Arc<Made> {
        let made = Arc::new(made);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            // Nobody asks for a page of another minute again.
            kept.retain(|other, _| other.minute == key.minute);
        }
        if kept.len() < MOST {
            kept.insert(key, Arc::clone(&made));
        }
        made
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderMap;

    use super::*;

    fn key(url: &str, revision: u64, is_reader: bool, millis: i64) -> Key {
        let stamp = InstallStamp {
            app_updated_at: Timestamp::default(),
            revision,
            is_reader,
        };
        let visitor = Visitor::of(&HeaderMap::new());
        Key::new(url.to_owned(), stamp, visitor, Timestamp::from_millis(millis))
    }

    fn made() -> Made {
        Made {
            preview: Preview {
                title: String::new(),
                description: String::new(),
                url: String::new(),
                image: None,
                is_public: true,
            },
            text: String::new(),
        }
    }

    #[test]
    fn a_page_is_another_when_anything_that_it_shows_is() {
        let pages = Pages::default();
        pages.keep(key("a", 1, false, 0), made());
        assert!(pages.find(&key("a", 1, false, 59_999)).is_some());
        for other in [
            key("b", 1, false, 0),
            key("a", 2, false, 0),
            key("a", 1, true, 0),
            key("a", 1, false, 60_000),
        ] {
            assert!(pages.find(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn memory_is_bounded_and_old_pages_make_room() {
        let pages = Pages::default();
        for number in 0..1000 {
            pages.keep(key(&number.to_string(), 1, false, 0), made());
        }
        assert_eq!(pages.0.lock().unwrap().len(), MOST);
        let next = key("next", 1, false, 60_000);
        pages.keep(next.clone(), made());
        assert!(pages.find(&next).is_some());
        assert_eq!(pages.0.lock().unwrap().len(), 1);
    }
}
