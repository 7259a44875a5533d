"""The policy of a gateway, enforced: as nftables' rules, or by judging each packet here."""
