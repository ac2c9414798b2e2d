"""The daemon under the machine's service manager: installed, run, and looked after."""
