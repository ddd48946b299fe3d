"""The command line: one file a verb, and ``main``, which imports only the verb asked for."""
