//! The API, one file a resource. A handler extracts, calls one function of the service, renders.

pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod channels;
pub(crate) mod latest;
pub(crate) mod links;
pub(crate) mod objects;
pub(crate) mod releases;
pub(crate) mod store;
pub(crate) mod tokens;
pub(crate) mod uploads;

/// A page of the service in its wire form.
fn page<T>(page: dist_service::Page<T>) -> axum::Json<dist_api::Page<T>> {
    axum::Json(dist_api::Page {
        items: page.items,
        next_cursor: page.next_cursor,
    })
}
