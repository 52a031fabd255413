//! Pages of lists: keyset paging with opaque cursors.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dist_model::{ErrorCode, Refusal};

/// The most items on a page.
const MOST: u32 = 200;

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct Paging {
    /// Where it starts: the `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// How many items at most; clamped to 1 to 200.
    pub limit: u32,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            cursor: None,
            limit: 50,
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page with each item made into another.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
        }
    }

    /// A page from one item more than it may hold, whose presence says that there is a next page.
    pub(crate) fn cut<const N: usize>(
        mut items: Vec<T>,
        paging: &Paging,
        list: &str,
        key: impl Fn(&T) -> [String; N],
    ) -> Self {
        let most = paging.rows();
        let more = items.len() > most;
        items.truncate(most);
        let next_cursor = items.last().filter(|_| more).map(|last| encode(list, &key(last)));
        Self { items, next_cursor }
    }
}

impl Paging {
    fn rows(&self) -> usize {
        usize::try_from(self.limit.clamp(1, MOST)).unwrap_or(1)
    }

    /// How many rows to ask for: one more than the page holds.
    pub(crate) fn sql_limit(&self) -> i64 {
        i64::from(self.limit.clamp(1, MOST)) + 1
    }

    /// The keys that the cursor holds, in a list's own order; `None` for the first page.
    pub(crate) fn after<const N: usize>(&self, list: &str) -> Result<Option<[String; N]>, Refusal> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        decode(list, cursor).map(Some).ok_or_else(|| {
            Refusal::new(
                ErrorCode::InvalidCursor,
                "the cursor was not made by this list; start without one",
            )
        })
    }
}

/// A cursor names its list, so that one of another list is refused rather than misread.
fn encode<const N: usize>(list: &str, keys: &[String; N]) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}\n{}", keys.join("\n")))
}

fn decode<const N: usize>(list: &str, cursor: &str) -> Option<[String; N]> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let keys: Vec<String> = text
        .strip_prefix(list)?
        .strip_prefix('\n')?
        .split('\n')
        .map(str::to_owned)
        .collect();
    keys.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_belong_to_their_list() {
        let cursor = encode("releases", &["a".to_owned(), "b".to_owned()]);
        let paging = Paging {
            cursor: Some(cursor),
            limit: 10,
        };
        assert_eq!(
            paging.after::<2>("releases").unwrap(),
            Some(["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(
            paging.after::<1>("releases").unwrap_err().code,
            ErrorCode::InvalidCursor
        );
        assert_eq!(paging.after::<2>("apps").unwrap_err().code, ErrorCode::InvalidCursor);
        let broken = Paging {
            cursor: Some("%%%".into()),
            limit: 10,
        };
        assert_eq!(broken.after::<1>("apps").unwrap_err().code, ErrorCode::InvalidCursor);
    }

    #[test]
    fn a_page_is_cut_where_more_follows() {
        let paging = Paging { cursor: None, limit: 2 };
        assert_eq!(paging.sql_limit(), 3);
        let page = Page::cut(vec![1, 2, 3], &paging, "n", |n| [n.to_string()]);
        assert_eq!(page.items, [1, 2]);
        assert!(page.next_cursor.is_some());
        assert_eq!(
            Page::cut(vec![1, 2], &paging, "n", |n| [n.to_string()]).next_cursor,
            None
        );
    }
}
