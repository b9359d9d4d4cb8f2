"""Demonstrations in other formats: LeRobot v3.0 and robomimic, to and from our ALOHA HDF5.

Every format is met by its files, without its library. pyarrow is needed for LeRobot only.
"""
