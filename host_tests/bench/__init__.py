"""The bench: our gateway beside the stock OpenVPN client, in the same lab and the same run."""
