"""Models made on the spot: trained ones to search with, random ones to test with."""
