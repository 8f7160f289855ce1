//! Codes, refresh tokens, on-behalf-of assertions and device codes.

use super::{Remedy, caller, passing, setup};

pub(super) const TABLE: &[Remedy] = &[
    caller(
        54005,
        "Code already used",
        "The authorization code was already redeemed.",
        "Start the sign-in again; do not reload the page that it returns to.",
    ),
    caller(
        70000,
        "Grant not valid",
        "The code or refresh token is not valid (any more) for this application.",
        "Sign in again.",
    ),
    caller(70008, "Grant expired", "The code or refresh token has expired.", "Sign in again."),
    caller(
        700_082,
        "Refresh token unused too long",
        "The refresh token expired because it was not used for a long time.",
        "Sign in again.",
    ),
    caller(
        700_084,
        "Session at its end",
        "The refresh token of this session has reached its fixed end.",
        "Sign in again.",
    ),
    caller(
        70043,
        "Sign-in frequency",
        "A Conditional Access policy demands a new sign-in after this time.",
        "Sign in again; the interval is set under Conditional Access > Session > Sign-in frequency.",
    ),
    caller(50173, "Sign-in revoked", "The session was revoked, as after a change of password.", "Sign in again."),
    caller(
        501_481,
        "Code verifier does not match",
        "The code verifier does not belong to the sign-in that was started.",
        "Start the sign-in again in one browser; if it repeats, the sign-in cookie is lost or mixed up on the way.",
    ),
    caller(
        50148,
        "Code verifier does not match",
        "The code verifier does not belong to the sign-in that was started.",
        "Start the sign-in again in one browser.",
    ),
    caller(
        500_133,
        "Caller's token expired",
        "The token to act on behalf of has expired.",
        "Send a fresh access token to the API.",
    ),
    caller(
        50013,
        "Caller's token not valid",
        "The token to act on behalf of is not valid.",
        "Send the API an unexpired access token that Entra ID issued for this very API.",
    ),
    caller(
        500_131,
        "Caller's token for another API",
        "The token to act on behalf of was issued for another audience than this API.",
        "Ask for a token with the API's own scope: api://API_CLIENT_ID/access_as_user.",
    ),
    caller(
        7_000_113,
        "Not a person's token",
        "An application's own token cannot be exchanged on behalf of a person.",
        "Call with a person's token, or use client credentials instead of on-behalf-of.",
    ),
    passing(
        70016,
        "Sign-in pending",
        "The person has not finished the device sign-in yet.",
        "Open the page shown, and enter the code.",
    ),
    caller(70018, "Code wrong", "The device code is not a valid one.", "Start the device sign-in again."),
    caller(70019, "Code expired", "The device code has expired.", "Start the device sign-in again."),
    setup(
        70020,
        "Device code missing",
        "The request lacks the device code.",
        "Update the program that sent it, and start the device sign-in again.",
    ),
];
