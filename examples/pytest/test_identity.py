"""A test of code that uses azure-identity, without Azure."""

from azure.identity import ManagedIdentityCredential


def test_my_code_gets_a_token_for_redis(app_service):
    credential = ManagedIdentityCredential(client_id=app_service["managed_identity_client_id"])
    assert credential.get_token("https://redis.azure.com/.default").token.count(".") == 2
