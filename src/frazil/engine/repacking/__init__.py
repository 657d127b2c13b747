"""Moving chunks of existing history into fewer, larger objects."""
