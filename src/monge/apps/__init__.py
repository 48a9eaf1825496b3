"""What a person does with a transport map: colours of photographs, domains, textures, dances."""
