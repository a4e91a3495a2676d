# The policy of the batch DR operation tokens: what a failover, a roll-back, settling a debt and a rejoin by hand need,
# and nothing else. Written on the primary: vault policy write watchdogd-dr config/policies/watchdogd-dr.hcl

# Makes a DR secondary primary.
path "sys/replication/dr/secondary/promote" {
  capabilities = ["update"]
}

# Points a demoted cluster at its new primary.
path "sys/replication/dr/secondary/update-primary" {
  capabilities = ["update"]
}

# Demotes the primary that was left, when it comes back.
path "sys/replication/dr/primary/demote" {
  capabilities = ["update"]
}

# The durable proof: on raft storage a DR secondary answers this to the token, so it can be tried where it will be used.
path "sys/storage/raft/autopilot/state" {
  capabilities = ["read", "update"]
}

# Only where key shares are configured and Vault is 2.x, which wants a Vault token for it. Remove it otherwise.
path "sys/replication/dr/secondary/generate-operation-token/*" {
  capabilities = ["create", "read", "update", "delete"]
}
