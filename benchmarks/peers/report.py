def write(out, kept, command): pass
