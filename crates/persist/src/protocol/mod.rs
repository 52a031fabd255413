//! The request protocol: a store for other processes, as lines of JSON over any transport.
//!
//! One request a line, `{"op":"persist/append","args":[…]}`; one answer a line, in the order of the
//! requests: `{"ok":value}` or `{"error":{"code":"…","message":"…"}}`. Whatever a line holds, it
//! gets its answer and the session goes on. An answer is written only after what it says is
//! durable. [`serve`] is the server's side, [`RemoteBackend`](crate::RemoteBackend) a client's.
//!
//! The protocol stands below the facets: it takes and lists the reserved names that begin with `$`.
//!
//! | op | args | ok |
//! | --- | --- | --- |
//! | `persist/append` | stream, event `{stream, seq, type, at, data}` | null; `conflict` unless the seq is the stream's last + 1 |
//! | `persist/read` | stream | list of events, oldest first |
//! | `persist/last-seq` | stream | integer, 0 for none |
//! | `persist/streams` | | every stream ever appended to |
//! | `persist/truncate` | stream, n | null; events with seq ≤ n are gone |
//! | `persist/kv-get` | key | value or null |
//! | `persist/kv-put` | key, value | null |
//! | `persist/kv-delete` | key | null |
//! | `persist/kv-has?` | key | boolean |
//! | `persist/kv-keys` | | list of keys |
//! | `blob/put` | `{"$bytes":"<base64>"}`, mime | content id: the SHA-256 of the bytes in hex |
//! | `blob/get` | content id | `{"$bytes":"<base64>"}` or null |
//! | `blob/has?` | content id | boolean |
//!
//! These make a whole [`Backend`](crate::Backend) of it:
//!
//! | op | args | ok |
//! | --- | --- | --- |
//! | `persist/hello` | | `{protocol, version, store: {store_id, epoch, schema_version}, head}` |
//! | `persist/commit` | [`Commit`](crate::Commit) | `{"committed": …}`, `{"duplicate": …}` or `{"conflict": …}` |
//! | `persist/read-page` | `{"revision": [stream, n]}` or `{"position": n}`, limit | `{events, last}`: the events after that place, and whether none comes after them |
//! | `persist/count` | stream | how many events are there |
//! | `persist/stream-revisions` | | list of `[stream, last seq]`, ordered by name |
//! | `persist/kv-find` | key | `{"value": …}` or null, which tells a null from nothing |
//! | `persist/kv-keys-with-prefix` | prefix | list of keys, ordered |
//! | `persist/receipt` | scope, key | [`Receipt`](crate::Receipt) or null |
//!
//! An event of `persist/read-page` is `{position, stream, seq, type, at, recorded_at, format, meta,
//! data}`, with the stored text of its data, without `meta` if there is none and without `data` if
//! that was erased.
//!
//! | code | the request |
//! | --- | --- |
//! | `broken_line` | is not one JSON object with `op` and `args` in UTF-8 |
//! | `line_too_long` | has more than [`MAX_LINE_BYTES`] |
//! | `unknown_op` | asks for what the server cannot do |
//! | `bad_arguments` | has arguments of the wrong number or kind, nested too deeply, or numbers out of range |
//! | `conflict` | appends at a seq that is not the next; the error also has `expected`, the seq before it, and `actual`, the stream's last |
//! | `busy` | comes over one connection too many, which is then closed, or while the database is locked |
//! | any other | could not be performed by the store: see [`Error::code`](crate::Error::code) |

mod serve;
pub(crate) mod wire;

pub use serve::serve;
pub use wire::MAX_LINE_BYTES;
