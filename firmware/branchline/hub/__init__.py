"""A hub's own work: who is connected to its OpenVPN servers, and what that makes it announce."""
