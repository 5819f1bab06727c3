"""The ground floor: errors, weight codes, packed bits, files, optional libraries. Imports no torch, nothing of ours."""
