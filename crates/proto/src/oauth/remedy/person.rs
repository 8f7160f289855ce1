//! People: accounts, consent, assignment, second factors and Conditional Access.

use super::{Remedy, caller, setup};

pub(super) const TABLE: &[Remedy] = &[
    caller(
        50020,
        "Account of another tenant",
        "The account does not exist in this tenant and cannot be used with this application.",
        "Sign in with an account of the tenant, invite the person as a guest, or make the application multi-tenant.",
    ),
    caller(
        50034,
        "Account not found",
        "The account does not exist in this tenant.",
        "Check the user name, and that TENANT_ID is the account's tenant.",
    ),
    caller(
        50058,
        "Nobody signed in",
        "A silent sign-in was asked for, but nobody is signed in.",
        "Sign in with a page; without one, browsers that block third-party cookies end here too.",
    ),
    caller(50126, "Wrong password", "The user name or password is wrong.", "Sign in again."),
    caller(
        50053,
        "Account locked",
        "The account is locked after too many wrong passwords.",
        "Wait, or ask your help desk.",
    ),
    caller(50055, "Password expired", "The password has expired.", "Change the password, then sign in again."),
    caller(50057, "Account disabled", "The account is disabled.", "Ask your administrator."),
    setup(
        50105,
        "Person not assigned",
        "The person is not assigned to the application, which demands assignment.",
        "Assign them under Enterprise applications > the application > Users and groups, or set `Assignment required?` \
         to No under Properties.",
    ),
    caller(
        65001,
        "Consent missing",
        "Nobody has consented to the permissions that are asked for.",
        "Sign in and consent, or have an administrator grant it: `az ad app permission admin-consent --id CLIENT_ID`.",
    ),
    caller(
        65004,
        "Consent declined",
        "The person declined the permissions that were asked for.",
        "Sign in again and accept, or ask for fewer permissions.",
    ),
    caller(
        90094,
        "Administrator's consent needed",
        "These permissions need the consent of an administrator.",
        "Have an administrator grant it: `az ad app permission admin-consent --id CLIENT_ID`.",
    ),
    caller(
        50074,
        "Second factor needed",
        "A second factor is needed.",
        "Sign in again with the claims of this error, and pass the second factor.",
    ),
    caller(
        50076,
        "Second factor needed",
        "A policy, or the place the sign-in comes from, demands a second factor.",
        "Sign in again with the claims of this error, and pass the second factor.",
    ),
    caller(
        50079,
        "Second factor not set up",
        "The person must register a second factor first.",
        "Sign in again and register it, or visit https://aka.ms/mfasetup.",
    ),
    caller(
        50072,
        "Second factor not set up",
        "The person must register a second factor first.",
        "Sign in again and register it, or visit https://aka.ms/mfasetup.",
    ),
    caller(
        53000,
        "Device not compliant",
        "Conditional Access demands a compliant device.",
        "Sign in from a managed, compliant device.",
    ),
    caller(
        53003,
        "Blocked by Conditional Access",
        "A Conditional Access policy blocks this sign-in or token.",
        "Look up the correlation id under Entra ID > Sign-in logs > Conditional Access, and change the policy or the \
         conditions.",
    ),
    caller(
        53004,
        "Proof of identity needed",
        "The sign-in is held until the person registers for multifactor authentication.",
        "Sign in from an ordinary place and register.",
    ),
    caller(
        16000,
        "Account to be chosen",
        "More than one account is signed in, or the one asked for cannot be used here.",
        "Sign in again and choose the account.",
    ),
    caller(
        50001,
        "Resource not in tenant",
        "The resource is not known in this tenant.",
        "Check the scope, and that the API has been consented to in this tenant.",
    ),
];
