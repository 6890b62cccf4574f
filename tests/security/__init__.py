"""What nobody may learn, and whom the client believes."""
