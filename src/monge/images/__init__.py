"""Pictures: reading and writing (`io`), color transfer (`color`) and textures (`texture`)."""
