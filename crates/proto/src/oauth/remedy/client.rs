//! App registrations, their secrets, and the resources they ask for.

use super::{Remedy, passing, setup};

pub(super) const TABLE: &[Remedy] = &[
    setup(
        700_016,
        "Application not found",
        "The tenant has no application with this client id.",
        "Check CLIENT_ID (App registrations > Overview > Application (client) ID) and TENANT_ID; a managed identity's \
         client id belongs in MANAGED_IDENTITY_CLIENT_ID.",
    ),
    setup(
        700_038,
        "Not an application id",
        "The client id is not a valid application id.",
        "Set CLIENT_ID to the Application (client) ID on the app registration's Overview page.",
    ),
    setup(
        700_025,
        "Public client sent a credential",
        "The app registration is a public client, which must not present a secret or assertion.",
        "Add a Web platform under Authentication, and set `Allow public client flows` to No.",
    ),
    setup(
        7_000_112,
        "Application disabled",
        "The application is disabled in the tenant.",
        "Enable it under Enterprise applications > Properties > Enabled for users to sign-in.",
    ),
    setup(
        7_000_215,
        "Wrong client secret",
        "The client secret is not one of this application's.",
        "Use the secret's Value, not its Secret ID; or use a managed identity as federated credential and keep no \
         secret at all.",
    ),
    setup(
        7_000_222,
        "Client secret expired",
        "The client secret has expired.",
        "Use a managed identity as federated credential and keep no secret at all, or make a new secret: \
         `az ad app credential reset --id CLIENT_ID --append`.",
    ),
    setup(
        7_000_218,
        "No client credential sent",
        "The request carries neither a client assertion nor a client secret.",
        "Configure one: MANAGED_IDENTITY_CLIENT_ID for a federated managed identity, or CLIENT_SECRET.",
    ),
    setup(
        50011,
        "Redirect URI not registered",
        "The redirect URI is not registered for the application.",
        "Add it exactly as sent, with scheme, port and path, under App registrations > Authentication > Web > \
         Redirect URIs: `az ad app update --id CLIENT_ID --web-redirect-uris URI`.",
    ),
    setup(
        50194,
        "Single-tenant application on a shared endpoint",
        "The application serves one tenant only but was asked through /common or /organizations.",
        "Set TENANT_ID to the application's own tenant, or make it multi-tenant under Authentication > Supported \
         account types.",
    ),
    setup(
        90002,
        "Tenant not found",
        "There is no such tenant in this cloud.",
        "Check TENANT_ID (Entra ID > Overview > Tenant ID) and that AZURE_AUTHORITY_HOST names the right cloud.",
    ),
    setup(
        900_144,
        "Parameter missing",
        "The request lacks a parameter that it must have.",
        "Update Entrant, and check that CLIENT_ID and the scope are not empty.",
    ),
    setup(
        9_002_313,
        "Malformed request",
        "The request is malformed.",
        "Check the configured ids and scopes for quotes, spaces and line ends that do not belong there.",
    ),
    setup(
        90014,
        "Field missing",
        "A field that the request must have is missing.",
        "Check that CLIENT_ID, TENANT_ID and the scope are not empty.",
    ),
    setup(
        70011,
        "Scope not valid",
        "The scope is not valid for this application or resource.",
        "Write one resource's scopes at a time: RESOURCE/.default, or api://API_CLIENT_ID/access_as_user.",
    ),
    setup(
        1_002_012,
        "Scope must end with /.default",
        "An application's own token is asked for with a scope other than /.default.",
        "Use RESOURCE/.default, such as https://redis.azure.com/.default.",
    ),
    setup(
        500_011,
        "Resource not found",
        "The tenant has no application for the resource that was asked for.",
        "Check the resource's spelling and slash; for an API of one's own, its Application ID URI under Expose an API, \
         and that it has a service principal: `az ad sp create --id API_CLIENT_ID`.",
    ),
    setup(
        650_057,
        "Resource not declared",
        "The resource is not among the application's declared permissions.",
        "Add it under App registrations > API permissions.",
    ),
    setup(
        501_051,
        "Application not assigned",
        "The target requires assignment, and this application has no role there.",
        "Assign an app role: Enterprise applications > the API > Users and groups, or \
         `az rest --method POST --url .../appRoleAssignedTo`.",
    ),
    setup(
        70003,
        "Grant type not supported",
        "The application may not use this kind of grant.",
        "Check the platform under App registrations > Authentication.",
    ),
    setup(
        50049,
        "Unknown instance",
        "The authority's host is not a known sign-in host.",
        "Set AZURE_AUTHORITY_HOST to your cloud's sign-in host, such as https://login.microsoftonline.com.",
    ),
    passing(
        90055,
        "Too many requests",
        "The tenant or application is being throttled.",
        "Wait. If it lasts, look for a program that asks for tokens instead of caching them.",
    ),
    passing(90033, "Passing failure", "Entra ID has a passing failure.", "Wait; requests are repeated by themselves."),
    passing(
        50196,
        "Request loop",
        "The same request was sent too often in a short time.",
        "Look for a page or program that signs in again and again, often because its cookie is not kept.",
    ),
];
