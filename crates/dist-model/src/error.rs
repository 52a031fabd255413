//! Every way in which the platform says no, with its exit code and its HTTP status.

use serde_json::{Map, Value};

/// What a refusal means for whoever asked; decides exit code and HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The question itself is wrong: exit 2, status 400.
    Usage,
    /// Not JSON, not HTTP as agreed: exit 7, status 400.
    Malformed,
    /// No credential, or one that nobody knows: exit 4, status 401.
    Unauthenticated,
    /// A known credential that may not: exit 4, status 403.
    Forbidden,
    /// A policy of the app or channel forbids it: exit 6, status 403.
    Policy,
    /// It is not there, or the caller may not know of it: exit 3, status 404.
    NotFound,
    /// What is there stands against it: exit 5, status 409.
    Conflict,
    /// It was there and is no more: exit 3, status 410.
    Gone,
    /// Somebody else was faster: exit 5, status 412.
    Stale,
    /// More bytes than allowed: exit 7, status 413.
    TooLarge,
    /// Read and understood, and not acceptable: exit 7, status 422.
    Invalid,
    /// Too often: exit 8, status 429.
    TooMany,
    /// Our fault: exit 1, status 500.
    Internal,
    /// The network, on the client's side: exit 8, status 502.
    Network,
    /// For now; safe to retry: exit 8, status 503.
    Unavailable,
    /// Waited for in vain, on the client's side: exit 9, status 504.
    TimedOut,
    /// No space left: exit 1, status 507.
    Full,
}

impl ErrorKind {
    /// The exit code of the CLI.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal | Self::Full => 1,
            Self::Usage => 2,
            Self::NotFound | Self::Gone => 3,
            Self::Unauthenticated | Self::Forbidden => 4,
            Self::Conflict | Self::Stale => 5,
            Self::Policy => 6,
            Self::Malformed | Self::TooLarge | Self::Invalid => 7,
            Self::TooMany | Self::Network | Self::Unavailable => 8,
            Self::TimedOut => 9,
        }
    }

    /// The status of the HTTP answer.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Usage | Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::Policy => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::Stale => 412,
            Self::TooLarge => 413,
            Self::Invalid => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Network => 502,
            Self::Unavailable => 503,
            Self::TimedOut => 504,
            Self::Full => 507,
        }
    }
}

macro_rules! codes {
    ($($name:ident $code:literal $kind:ident $help:literal)*) => {
        /// A stable error code, `area.reason`. Codes are added, never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(clippy::doc_markdown, reason = "the same sentences are shown to people")]
        pub enum ErrorCode {
            $(#[doc = $help] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it stands in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// What it means for whoever asked.
            pub fn kind(self) -> ErrorKind {
                match self { $(Self::$name => ErrorKind::$kind),* }
            }

            /// What happened and what to do, for the reference.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help),* }
            }
        }
    };
}

codes! {
    UsageError "usage.error" Usage "The command line or the query is wrong; the message says where."
    InvalidId "id.invalid" Malformed "An id has characters that no id has."
    InvalidDigest "digest.invalid" Invalid "A digest is not 64 hexadecimal characters."
    InvalidTime "time.invalid" Invalid "A time is not RFC 3339."
    InvalidCursor "cursor.invalid" Malformed "A list's cursor was not made by this list; start without one."
    RequestMalformed "request.malformed" Malformed "The body is not the JSON that the route takes."
    RequestForbidden "request.forbidden" Forbidden "The server refuses for a reason that this version does not know; details.server_code has it."
    RequestConflict "request.conflict" Conflict "What is there stands against it, for a reason that this version does not know; details.server_code has it."
    RequestTooLarge "request.too_large" TooLarge "The JSON body is over 1 MiB."
    RequestTimeout "request.timeout" Unavailable "The request came too slowly and was cut; send it again."
    CrossOrigin "request.cross_origin" Forbidden "A form was not sent from a page of this server; open the console and try again."
    RouteNotFound "route.not_found" NotFound "No route has this path."
    MethodNotAllowed "route.method_not_allowed" Usage "The route does not take this method; see the Allow header."

    ManifestInvalidJson "manifest.invalid_json" Invalid "The manifest is not JSON; the message names line and column."
    ManifestUnknownKey "manifest.unknown_key" Invalid "The manifest has a key that nobody reads; the message names the nearest known one."
    ManifestMissingField "manifest.missing_field" Invalid "The manifest lacks a required field."
    ManifestInvalidField "manifest.invalid_field" Invalid "A field of the manifest has the wrong type or value."
    UnknownPlatform "manifest.unknown_platform" Invalid "A platform is not one of ios, android_apk, android_aab, macos, linux, windows."
    ManifestNotFound "manifest.not_found" NotFound "The manifest file is not there; name it with --manifest."
    InvalidSlug "app.invalid_slug" Invalid "An app slug has 1 to 63 characters of a-z 0-9 -."
    InvalidChannel "channel.invalid_name" Invalid "A channel name has 1 to 63 characters of a-z 0-9 - . _."
    InvalidVersion "release.invalid_version" Invalid "A version has 1 to 64 characters of A-Z a-z 0-9 . + - _ ~."
    InvalidBuild "release.invalid_build" Invalid "A build has at most 64 characters of A-Z a-z 0-9 . + - _ ~."
    InvalidFilename "artifact.invalid_filename" Invalid "A file name is a plain name without path or control characters."

    PathNotFound "artifact.path_not_found" Invalid "No file is at the path, or the glob matches none."
    PathAmbiguous "artifact.path_ambiguous" Invalid "A glob matches several files; it must match exactly one."
    PathNotAFile "artifact.not_a_file" Invalid "The path is a directory or device, not a file."
    PathUnreadable "artifact.unreadable" Invalid "The file cannot be read; check its permissions."
    FileChanged "artifact.changed" Invalid "The file changed while it was read; build first, then publish."
    ArtifactEmpty "artifact.empty" Invalid "The file has no bytes."
    DigestMismatch "artifact.digest_mismatch" Invalid "The bytes do not have the declared SHA-256."
    SizeMismatch "artifact.size_mismatch" Invalid "The bytes are not as many as declared."
    PlatformMismatch "artifact.platform_mismatch" Invalid "The declared platform is not what the file is."
    PlatformUnknown "artifact.platform_unknown" Invalid "What the file is for cannot be told; declare its platform."
    PlatformNotAllowed "artifact.platform_not_allowed" Invalid "The app does not allow this platform."
    BundleIdMismatch "artifact.bundle_id_mismatch" Invalid "The id inside the artifact is not the app's."
    ArtifactFailed "artifact.validation_failed" Invalid "The artifact cannot be what it claims to be; see its findings."
    ArtifactDuplicate "artifact.duplicate" Invalid "Two artifacts of one release have the same platform, arch, package type and file name."
    StrictMismatch "artifact.version_mismatch" Invalid "With --strict: an artifact says another version or build than the manifest."
    PreflightFailed "artifact.preflight_failed" Invalid "With --strict: an artifact would not install, or not as an update of the last release; the message says why."

    AppNotFound "app.not_found" NotFound "No such app, or none that you may read."
    AppExists "app.exists" Conflict "An app with this slug exists."
    AppInvalid "app.invalid" Invalid "A setting of the app has an impossible value."
    TestflightUrlRequired "app.testflight_url_required" Invalid "Mode testflight needs a URL on <https://testflight.apple.com>/."
    BundleIdRequired "app.bundle_id_required" Invalid "Mode enterprise needs the iOS bundle id."

    ReleaseNotFound "release.not_found" NotFound "No such release in this app."
    ReleaseAmbiguous "release.ambiguous" Usage "The version names several builds; name the release by its id, or its build with --build."
    ReleaseConflict "release.conflict" Conflict "This version and build is published with other artifacts; releases never change, so publish under a new version or build."
    ReleaseYanked "release.yanked" Conflict "This release was yanked and is never offered again."
    ReleaseDeleted "release.deleted" Conflict "This release was cleaned up; its version and build stay taken."
    ReleaseIsDraft "release.is_draft" Conflict "This release is a draft; publish it first, or add to it with --draft."
    ReleaseNotDraft "release.not_draft" Conflict "This release is published and can no longer change."
    ReleaseInUse "release.in_use" Conflict "A channel points at this release; move the channel first, or use --and-rollback."
    ReleaseEmpty "release.empty" Invalid "A release needs at least one artifact."
    ReleaseIncomplete "release.incomplete" Invalid "The draft lacks a platform that --require names."

    ChannelNotFound "channel.not_found" NotFound "No such channel in this app."
    ChannelNoPrevious "channel.no_previous" Conflict "The channel has no earlier release to roll back to."
    ChannelEmpty "channel.empty" Conflict "The channel points at no release yet."
    ChannelMoved "channel.moved" Stale "The channel was moved by somebody else; look again, then decide."
    ChannelInvalid "channel.invalid" Invalid "A setting of the channel has an impossible value."
    PolicyRefused "policy.refused" Policy "A policy that this version does not know forbids it; details.server_code has it."
    PromoteOnly "policy.promote_only" Policy "The channel takes promotions only; publish to another channel and promote."

    AuthMissing "auth.missing" Unauthenticated "The request needs a token: Authorization: Bearer dist_…"
    AuthMalformed "auth.malformed" Unauthenticated "The Authorization header is not Bearer dist_ and 64 hexadecimal characters."
    AuthUnknownToken "auth.unknown_token" Unauthenticated "Nobody made this token."
    AuthRevoked "auth.revoked" Forbidden "The token was revoked."
    AuthExpired "auth.expired" Forbidden "The token has expired."
    AuthMissingScope "auth.missing_scope" Forbidden "The token lacks the scope that this needs."
    AuthAppForbidden "auth.app_forbidden" Forbidden "The token is for another app."
    AuthChannelForbidden "auth.channel_forbidden" Forbidden "The token is for other channels."
    AuthRole "auth.role" Forbidden "Your role does not allow this; ask an admin for another one."
    AuthSessionEnded "auth.session_ended" Unauthenticated "The session has ended; sign in again."
    AuthWrongPassword "auth.wrong_password" Unauthenticated "The e-mail address or the password is wrong."
    AuthTooMany "auth.too_many_attempts" TooMany "Too many attempts to sign in failed; wait, then try again."
    AuthNotVouched "auth.not_vouched" Unauthenticated "The provider's answer does not prove who you are; sign in again."
    AuthNotLetIn "auth.not_let_in" Forbidden "The provider vouches for you, but nobody has let you in; ask an admin."
    AuthProviderDown "auth.provider_unavailable" Unavailable "The sign-in provider cannot be reached; try again, or sign in with a password."

    UserNotFound "user.not_found" NotFound "No person has this id or e-mail address."
    UserExists "user.exists" Conflict "A person with this e-mail address exists."
    UserInvalid "user.invalid" Invalid "A person's name or role is impossible."
    InvalidEmail "user.invalid_email" Invalid "An e-mail address looks like name@example.org."
    UserLastAdmin "user.last_admin" Conflict "Somebody must be left who administers everything; make another admin first."
    UserDisabled "user.disabled" Conflict "The person is disabled; enable them first."
    PasswordWeak "user.password_weak" Invalid "A password has 10 to 256 characters and is not the e-mail address."
    InvitationInvalid "user.invitation_invalid" Gone "The link to set a password was used, has expired, or was never made; ask an admin for a new one."
    SessionNotFound "session.not_found" NotFound "No session of yours has this id."
    SetupDone "setup.done" Conflict "Somebody administers this server already; sign in."

    LinkNotFound "link.not_found" NotFound "No tester link has this id."
    LinkInvalid "link.invalid" Invalid "A tester link's note or expiry is impossible."
    LinkEnded "link.ended" Gone "The tester link has expired or was revoked; ask for a new one."
    LinkAlreadyRevoked "link.already_revoked" Conflict "The tester link was revoked before."

    TokenNotFound "token.not_found" NotFound "No token has this id."
    TokenExists "token.exists" Conflict "A token with this name exists; names are never used twice."
    TokenAlreadyRevoked "token.already_revoked" Conflict "The token was revoked before."
    TokenInvalid "token.invalid" Invalid "The token's name, scope, app, channels or expiry is impossible."

    ObjectNotFound "object.not_found" NotFound "No object with this digest that you may read."
    ObjectMissing "object.missing" Conflict "An object that the release names is not in the store; upload it again."
    ObjectCorrupt "object.corrupt" Internal "An object's bytes do not have the digest that is its name; restore it from a backup."
    UploadTooLarge "upload.too_large" TooLarge "The upload is over the server's limit."
    UploadIncomplete "upload.incomplete" Malformed "The upload ended before it was whole."
    UploadTooLong "upload.too_long" Malformed "More bytes came than were announced."
    UploadNotFound "upload.not_found" NotFound "No such upload, or it is not yours."
    UploadExpired "upload.expired" Gone "The upload has expired; start a new one."
    UploadOffset "upload.offset_mismatch" Conflict "The part does not start where the upload stands; ask with HEAD and go on from there."
    UploadInvalid "upload.invalid" Malformed "A tus header is missing or wrong."
    UploadLocked "upload.locked" Unavailable "Another request is writing to this upload; try again."

    IdempotencyMismatch "idempotency.mismatch" Conflict "The key was used for another request; take a new key."
    IdempotencyInvalid "idempotency.invalid_key" Malformed "An idempotency key has 1 to 200 printable ASCII characters."

    StoreNotFound "store.not_found" NotFound "No store is in this folder."
    StoreNewer "store.newer" Conflict "The store was made by a newer version; upgrade this program."
    StoreForeign "store.foreign" Conflict "The database in this folder is not one of ours."
    StoreProjections "store.projection_mismatch" Conflict "The store's tables were made by an older version; bring it forward with `dist store upgrade`, or by starting this version's distd."
    StoreNetworkFilesystem "store.network_filesystem" Conflict "SQLite's locks cannot be trusted on a network file system; use a local disk."
    StoreApart "store.apart" Conflict "The folders `objects` and `staging` are on different file systems; put the whole data folder on one."
    StorePermission "store.permission_denied" Forbidden "The folder belongs to another user; the message says which chown is missing."
    StoreReadOnly "store.read_only" Internal "The store's disk cannot be written."
    StoreBusy "store.busy" Unavailable "Another process holds the store; try again."
    StoreFull "store.full" Full "The disk is full; reads go on. Free space and try again."
    StoreIo "store.io" Internal "The disk failed; see the server's log."
    StoreGone "store.gone" Internal "The database was removed or replaced while it was in use; what was written since may be lost. Look at the data folder, then start the server again."
    StoreStopped "store.stopped" Internal "The writer of the database has stopped after a failure of the disk; reads go on. Look at the log and the disk, then start the server again."
    StoreOutcomeUnknown "store.outcome_unknown" Internal "The disk failed while committing; whether it was written shows after a restart."
    StoreCorrupt "store.corrupt" Internal "The store's data is damaged; run `dist store verify` and restore from a backup."
    StoreNotEmpty "store.not_empty" Conflict "The folder already holds a store; restore into an empty one."
    StoreLocalOnly "store.local_only" Usage "This command works on a folder: use --local-store."
    ImportInvalid "import.invalid" Invalid "The db.json cannot be read; nothing was imported."
    BackupInvalid "backup.invalid" Invalid "The backup is not whole; the message names what is missing."

    ServerBusy "server.busy" Unavailable "The server is at its limit of connections; try again."
    ServerStopping "server.stopping" Unavailable "The server is stopping; try again."
    InternalError "internal" Internal "Something failed that should not; the log says what."
    NetworkError "network.error" Network "The server cannot be reached, or the connection broke."
    NetworkBadAnswer "network.bad_answer" Network "What answered is not a dist server."
    ReadBackFailed "publish.read_back_failed" Internal "The release was accepted but what was read back differs; do not rely on it."
    TimedOut "timeout" TimedOut "It did not happen in time."
}

impl ErrorCode {
    /// The code that `text` spells, or `None` where this version does not know it.
    pub fn from_code(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

/// A refusal: a stable code, a sentence that says what to do next, and facts for programs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// One sentence or two for a person.
    pub message: String,
    /// Facts for programs: what was expected, what was found.
    pub details: Map<String, Value>,
}

impl Refusal {
    /// A refusal without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Map::new(),
        }
    }

    /// The same with one more detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_found_again() {
        let codes: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.as_str()), Some(*code));
            assert!(code.help().ends_with(['.', '…']), "{}", code.as_str());
        }
    }

    #[test]
    fn policy_codes_exit_with_6_and_other_403s_with_4() {
        for code in ErrorCode::ALL.iter().filter(|code| code.kind().http_status() == 403) {
            let expected = if code.as_str().starts_with("policy.") { 6 } else { 4 };
            assert_eq!(code.kind().exit_code(), expected, "{}", code.as_str());
        }
    }
}
