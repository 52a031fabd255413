//! Every route, in one list. The `OpenAPI` document is made of the same list, and so is the list
//! that the access tests go through.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dist_model::{ErrorCode, Refusal};
use http::{Method, header};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, RefOr, Required};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{apps, audit, channels, latest, links, objects, releases, store, tokens, uploads};
use crate::error::ApiError;
use crate::state::Site;
use crate::web::assets;
use crate::{console, download, health, icon, install, observe};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "distd",
        description = "Takes build artifacts from CI and puts them into people's hands.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Bearer),
    // What only queries refer to is not found by itself.
    components(schemas(dist_api::Order)),
    security((), ("token" = [])),
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`dist_` and 64 hexadecimal characters"))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(token));
    }
}

fn all() -> OpenApiRouter<Arc<Site>> {
    let tus = OpenApiRouter::new()
        .routes(routes!(uploads::options, uploads::create))
        .routes(routes!(
            uploads::head,
            uploads::append,
            uploads::terminate,
            uploads::as_named
        ))
        .layer(map_response(uploads::mark));
    OpenApiRouter::with_openapi(<Document as utoipa::OpenApi>::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(openapi_json))
        .routes(routes!(install::index))
        .routes(routes!(install::page))
        .routes(routes!(install::manifest))
        .routes(routes!(icon::of_page))
        .routes(routes!(icon::of_app))
        .routes(routes!(download::download))
        .routes(routes!(latest::follow))
        .routes(routes!(latest::follow_arch))
        .routes(routes!(apps::list, apps::create))
        .routes(routes!(apps::show, apps::update))
        .routes(routes!(releases::schema))
        .routes(routes!(releases::list, releases::publish))
        .routes(routes!(releases::show, releases::discard))
        .routes(routes!(releases::add_artifacts))
        .routes(routes!(releases::publish_draft))
        .routes(routes!(releases::yank))
        .routes(routes!(channels::list))
        .routes(routes!(channels::show, channels::update))
        .routes(routes!(channels::history))
        .routes(routes!(channels::promote))
        .routes(routes!(channels::roll_back))
        .routes(routes!(latest::check))
        .routes(routes!(objects::head))
        .routes(routes!(objects::upload))
        .merge(tus)
        .routes(routes!(links::of_app))
        .routes(routes!(links::of_channel, links::create))
        .routes(routes!(links::revoke))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(store::cleanup))
        .routes(routes!(store::verify))
        .routes(routes!(store::backup))
        .routes(routes!(assets::asset))
        .routes(routes!(console::apps::list))
        .merge(console_of_apps())
        .routes(routes!(console::setup::form, console::setup::set_up))
        .routes(routes!(console::sign_in::form, console::sign_in::sign_in))
        .routes(routes!(console::sign_in::sign_out))
        .routes(routes!(console::oidc::start))
        .routes(routes!(console::oidc::finish))
        .routes(routes!(console::invitation::form, console::invitation::accept))
        .routes(routes!(console::account::show))
        .routes(routes!(console::account::end_session))
        .routes(routes!(console::account::change_password))
        .routes(routes!(console::people::list, console::people::create))
        .routes(routes!(console::people::new))
        .routes(routes!(console::people::show, console::people::update))
        .routes(routes!(console::people::invite))
        .routes(routes!(console::people::confirm_disable, console::people::disable))
        .routes(routes!(console::people::enable))
        .routes(routes!(console::tokens::list, console::tokens::create))
        .routes(routes!(console::tokens::new))
        .routes(routes!(console::tokens::show))
        .routes(routes!(console::tokens::confirm_revoke, console::tokens::revoke))
        .routes(routes!(console::audit::show))
        .routes(routes!(console::audit::jsonl))
        .routes(routes!(console::audit::csv))
        .routes(routes!(console::downloads::all))
        .routes(routes!(console::downloads::of_app))
        .routes(routes!(console::storage::show))
        .routes(routes!(console::storage::plan_cleanup, console::storage::clean_up))
        .routes(routes!(console::storage::confirm_backup, console::storage::back_up))
        .routes(routes!(console::health::show))
        .routes(routes!(console::settings::sign_in))
        .routes(routes!(console::search::search))
        .routes(routes!(console::live::events))
}

/// The console's pages of single apps.
fn console_of_apps() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new()
        .routes(routes!(console::app_settings::create))
        .routes(routes!(console::app_settings::new))
        .routes(routes!(console::app::show))
        .routes(routes!(console::app_settings::form, console::app_settings::update))
        .routes(routes!(console::compare::compare))
        .routes(routes!(console::moves::confirm_promotion, console::moves::promote))
        .routes(routes!(console::release::show))
        .routes(routes!(console::draft::confirm_publish, console::draft::publish))
        .routes(routes!(console::draft::confirm_discard, console::draft::discard))
        .routes(routes!(console::yank::confirm, console::yank::yank))
        .routes(routes!(console::channel::show))
        .routes(routes!(
            console::channel_settings::form,
            console::channel_settings::update
        ))
        .routes(routes!(console::moves::confirm_rollback, console::moves::roll_back))
        .routes(routes!(console::links::create))
        .routes(routes!(console::links::confirm_revoke, console::links::revoke))
}

/// Everything that is served on the main address; `/metrics` only where it has no own one.
pub(crate) fn router(site: Arc<Site>, with_metrics: bool) -> Router {
    let (mut router, _) = all().split_for_parts();
    if with_metrics {
        router = router.merge(metrics());
    }
    let observe = from_fn_with_state(Arc::clone(&site), observe::observe);
    let as_pages = from_fn_with_state(Arc::clone(&site), console::refusals_as_pages);
    let as_plain_pages = from_fn_with_state(Arc::clone(&site), install::refusals_as_pages);
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(as_pages)
        .layer(as_plain_pages)
        .layer(observe)
        .with_state(site)
}

/// The one route that may have an address of its own.
fn metrics() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new().routes(routes!(health::metrics))
}

/// What is served on that address.
pub(crate) fn metrics_only(site: Arc<Site>) -> Router {
    Router::from(metrics()).fallback(no_route).with_state(site)
}

async fn no_route() -> ApiError {
    ApiError::from_code(ErrorCode::RouteNotFound)
}

async fn no_method(method: Method) -> ApiError {
    let message = format!("this route does not take {method}; the Allow header says what it takes");
    Refusal::new(ErrorCode::MethodNotAllowed, message).into()
}

/// Made when first asked for, and the same ever after.
static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| openapi().to_json().unwrap_or_default().into());

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "health", responses((status = 200, body = Object)))]
async fn openapi_json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI.clone()).into_response()
}

/// The `OpenAPI` document of every route.
pub fn openapi() -> OpenApi {
    let mut document = all().merge(metrics()).split_for_parts().1;
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            // Handlers are named within their resource, and operations must be named in all. Pages are
            // where they are.
            let resource = operation.tags.iter().flatten().next();
            let id = resource.zip(operation.operation_id.as_ref());
            operation.operation_id = id.map(|(resource, name)| match resource.as_str() {
                "console" => format!(
                    "console.{}{}",
                    method.as_str().to_lowercase(),
                    path.replace(['/', '-'], "_")
                )
                .replace(['{', '}'], ""),
                _ => format!("{resource}.{name}"),
            });
            describe_answers(operation);
            if method == Method::POST && takes_key(path) {
                operation
                    .parameters
                    .get_or_insert_default()
                    .push(idempotency_key().into());
            }
        }
    }
    document
}

/// `OpenAPI` wants a description of every answer; this one is for those that need none.
pub const PLAIN_ANSWER: &str = "What the status says.";

fn describe_answers(operation: &mut Operation) {
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            PLAIN_ANSWER.clone_into(&mut answer.description);
        }
    }
}

/// Whether a POST takes an idempotency key: not one that only reads, nor one whose protocol has its own way
/// to go on, nor a form of the console.
fn takes_key(path: &str) -> bool {
    path.starts_with("/api/") && !path.starts_with("/api/uploads") && path != "/api/store/verify"
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("idempotency-key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A text of the caller's own, 1 to 200 printable ASCII characters: the same request under the same key is done once.",
        ))
        .schema(Some(Object::with_type(Type::String)))
        .build()
}

/// Every route as its method and path, in the order of paths.
pub fn list() -> Vec<(Method, String)> {
    let mut routes = Vec::new();
    for (path, mut item) in openapi().paths.paths {
        routes.extend(operations(&mut item).map(|(method, _)| (method, path.clone())));
    }
    routes
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::HEAD, &mut item.head),
        (Method::OPTIONS, &mut item.options),
        (Method::POST, &mut item.post),
        (Method::PUT, &mut item.put),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
