"""Stand-ins for hardware, public: any program may drive them as it drives the real thing."""
